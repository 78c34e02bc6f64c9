"""Records of other systems in our raw contract, and ours in theirs.

Pure functions without clock, disk or Kafka.
"""
