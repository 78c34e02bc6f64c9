"""The one-machine mode: an Apache Kafka broker, a Milvus Lite server and searchloop's processes as children of one command."""
