"""Good, unusual, damaged and strange records, for ``validation`` and ``fuzz``."""
