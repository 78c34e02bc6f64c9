"""What ``swap`` and ``crash_deploy`` deploy.

Models, a catalogue that changes, readers, and the audit after a crash.
"""
