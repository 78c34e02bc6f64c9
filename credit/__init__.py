"""Which search earned an engagement: the rules, and what is remembered of a shopper to decide by them.

Pure. ``stream`` carries them out, ``operations`` tells a shopper's log again by them (ADR 0033).
"""
