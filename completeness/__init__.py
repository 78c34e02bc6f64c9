"""What a catalogue lacks: the faults of a product, what is compared among products, and the report.

For `doctor catalog` and the console, which has a catalogue judged in a child: `python -m completeness`.
"""
