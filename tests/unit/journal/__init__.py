"""Tests of the journal replica."""
