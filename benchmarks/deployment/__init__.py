"""What ``swap`` and ``crash_deploy`` deploy: models, a catalogue that changes, readers, and the audit after a crash."""
