"""From raw events to counted credits.

Intake cleans, attribution credits a search, aggregation sums per query and product.
"""
