"""Pictures of products.

The one preparation that training and serving share, and their store by content hash.
"""
