"""What can be known before an hour is spent: checks of rows, template and model, and a forecast of memory and time."""
