"""What ``chaos`` and ``attribution`` compare with.

The reference that pairs must equal, the storm, its workers, the usual joins.
"""
