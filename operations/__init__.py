"""What operators ask for and are told, whichever way they come: the verbs and the HTTP API share it.

Pure: nothing here reads, writes or prints.
"""
