"""Where each row went: the ledger of a stage, and one line for each ingested row."""
