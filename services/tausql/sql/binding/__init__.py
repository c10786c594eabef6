"""From sqlglot's tree to bound queries: names resolved, expressions typed, nothing decided about how to run them."""
