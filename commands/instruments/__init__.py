"""What watches a running stack for ``demo``, for benchmarks and for the flow tests.

Traffic, memory, and the laws that must hold.
"""
