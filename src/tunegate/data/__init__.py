"""Sources, checks, cleaning, splits, ledger."""
