"""What the verbs of ``searchloop`` do.

A file is named as its verb, and ``options`` holds a file of the same name that says what it takes.
``support`` holds what several verbs share, ``instruments`` what watches a running stack for the demo,
benchmarks and tests.
"""
