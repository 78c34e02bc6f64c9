"""The console: what operators see and change, as pages that a browser shows without any script.

It asks and tells what the other routes do, from the same memory, and decides nothing.
"""
