"""What differs between the rows of two commits, and how much."""
