"""What can be checked before an hour is spent: rows, template and model, forecasts of memory and time."""
