"""What can be known before an hour is spent: checks of rows, template and model, forecasts of memory and time."""
