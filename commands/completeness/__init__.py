"""Is the catalogue complete: what is judged of each product, what is compared, and the report of it."""
