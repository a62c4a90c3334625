"""From validated rows to splits: repair, filters, duplicates, personal data, splits."""
