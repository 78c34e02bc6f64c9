"""What ``search`` and ``crowding`` ask: an indexed shop, and a search's parts measured in turns with the whole."""
