"""What the verbs of ``searchloop`` do: a file is named as its verb; ``cli.py`` only declares them.

``support`` holds what several verbs share, ``instruments`` what watches a running stack for the demo, benchmarks and tests.
"""
