"""Build, prove, publish and keep generations: the only writer of Milvus and of the topic ``releases``."""
