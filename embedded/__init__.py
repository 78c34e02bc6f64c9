"""The one-machine mode.

An Apache Kafka broker, a Milvus Lite server and searchloop's processes as children of one command.
"""
