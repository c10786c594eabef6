"""Clusters: their life from creation to the removal of their last row, and what belongs to them."""
