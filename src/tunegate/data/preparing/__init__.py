"""From validated rows to splits: repair, rules, duplicates, personal data, splits."""
