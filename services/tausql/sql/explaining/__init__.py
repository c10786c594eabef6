"""EXPLAIN: the plan as text, JSON, YAML or XML, in Aurora DSQL's shape."""
