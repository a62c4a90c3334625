"""The techniques, one module each: what it gives to the loop. `techniques.choice` picks one by its name."""
