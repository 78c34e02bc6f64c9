"""One script per claim.

Each prints one JSON object as its last line; see ``benchmarks/RESULTS.md`` for what was measured. A file here
is a command, ``python -m benchmarks.NAME``. What it is made of stands in the folder of its subject, and what
all of them use in ``harness``.
"""
