"""The sole home of aiokafka.

Produce and await, read a compacted topic to its end, follow it, consume in batches, dead letters, topics.
"""
