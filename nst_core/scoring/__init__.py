"""Scores of finished pictures, which no optimization uses and no network computes."""
