"""Answer search requests from Kafka.

Follow the live release, lease it once per batch, say which generation answered.
"""
