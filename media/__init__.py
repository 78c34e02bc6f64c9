"""Pictures of products: the one preparation that training and serving share, and where they come from."""
