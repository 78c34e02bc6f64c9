"""What shops send, judged: envelopes opened, records made clean or refused, other formats converted.

Pure, and knows no catalogue: for intake, which writes what is clean, and for whoever tells a shop before it.
"""
