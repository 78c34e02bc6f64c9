"""What every process has in common around its work: logs, health pages, a start and an ordered end."""
