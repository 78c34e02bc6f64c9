"""What watches a running stack for ``demo``, for benchmarks and for the flow tests: traffic, memory, and the laws that must hold."""
