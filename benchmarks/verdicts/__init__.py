"""What ``gate`` judges.

A shop with models trained on it, planted candidates, and simpler rules beside the gate.
"""
