"""Personal data in rows: found by rules and by a language model, masked or dropped."""
