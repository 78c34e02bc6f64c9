"""Programs and packages that are not ours: clients in other languages, libraries in environments of their own."""
