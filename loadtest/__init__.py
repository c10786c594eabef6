"""Workloads and their reports. They measure time; tests never do."""
