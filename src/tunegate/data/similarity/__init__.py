"""Which texts are equal or nearly so: shingles, sketches, pairs."""
