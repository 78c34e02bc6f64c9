"""Click logs, judgments and planted shops as the frames that the trainer works on."""
