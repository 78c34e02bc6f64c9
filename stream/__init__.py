"""From raw events to counted credits: intake cleans, attribution credits a search, aggregation sums per query and product."""
