"""What ``search`` and ``crowding`` ask.

An indexed shop, and a search's parts measured in turns with the whole.
"""
