"""Models and baselines measured on the test queries, and what a person reads of it."""
