"""Records of other systems in our raw contract, and ours in theirs: pure functions without clock, disk or Kafka."""
