"""The techniques, one module each: what it gives to the loop. `training.setup` picks one by its name."""
