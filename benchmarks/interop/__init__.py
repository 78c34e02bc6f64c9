"""Programs and packages that are not ours.

Clients in other languages, libraries in environments of their own.
"""
