"""Answer search requests from Kafka: follow the live release, lease it once per batch, say which generation answered."""
