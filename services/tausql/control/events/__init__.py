"""The audit log: who asked control for what, and who connected to which cluster, as CloudTrail tells it."""
