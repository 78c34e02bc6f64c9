"""The trainer as a process that stays: which triggers become runs, and when; one run at a time."""
