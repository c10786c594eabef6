"""SQL: types, functions, expressions, and the statements made of them; no I/O, no clocks, no randomness."""
