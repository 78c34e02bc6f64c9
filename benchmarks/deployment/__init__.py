"""What ``swap`` and ``crash_deploy`` deploy.

Models, a catalogue that changes, readers, kills, and the audit after a crash.
"""
