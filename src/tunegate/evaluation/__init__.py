"""Answers, per-example scores, metrics, slices."""
