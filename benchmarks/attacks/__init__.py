"""What ``attack`` and ``poison`` do: hostile records, commands, loads and shoppers, and the stack they are aimed at."""
