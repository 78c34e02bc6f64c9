"""One run on disk, what it is asked to do, its processes, and what it reads of the generations that serve."""
