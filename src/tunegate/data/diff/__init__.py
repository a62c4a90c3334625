"""What differs between the rows of two commits, and one row from its file to its answer. Runs in no stage."""
