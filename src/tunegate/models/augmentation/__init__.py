"""More training rows made of those that are there."""
