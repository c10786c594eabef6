"""The schema of a cluster: what statements see of it, and how it is kept as rows like any other data."""
