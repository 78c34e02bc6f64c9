"""One script per claim. Each prints one JSON object as its last line; see ``benchmarks/RESULTS.md`` for what was measured."""
