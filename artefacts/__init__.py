"""What processes share beside Kafka and Milvus, by its content: pictures, and what releases are made of."""
