"""The sole home of aiokafka: produce and await, read a compacted topic to its end, follow it, consume in batches, dead letters, topics."""
