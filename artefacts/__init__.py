"""What processes share beside Kafka and Milvus, by its content: today prepared pictures."""
