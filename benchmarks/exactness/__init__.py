"""What ``chaos`` and ``attribution`` compare with: the reference that pairs must equal, the storm, its workers, the usual joins."""
