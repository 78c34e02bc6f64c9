"""What ``attack`` and ``poison`` do.

Hostile records, commands, loads and shoppers, and the stack they are aimed at.
"""
