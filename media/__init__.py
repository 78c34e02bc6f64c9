"""Pictures of products: the one preparation that training and serving share, and their store by content hash."""
