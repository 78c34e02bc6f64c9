"""What operators ask for and are told, whichever way they come: the verbs and the HTTP API share it.

Pure, but for what both read alike (``operations.event_reading``); nothing here writes or prints.
"""
