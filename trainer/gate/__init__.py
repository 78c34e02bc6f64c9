"""May a candidate serve: the evidence, the rows, the verdict, and deriving it once more."""
