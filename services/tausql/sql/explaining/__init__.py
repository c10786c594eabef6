"""EXPLAIN: the plan as text or JSON, in Aurora DSQL's shape."""
