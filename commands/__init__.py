"""What the verbs of ``searchloop`` do: one module per group of verbs. ``cli.py`` only declares them."""
