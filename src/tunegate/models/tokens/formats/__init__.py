"""Row formats: from canonical rows to examples, one module per format. `choice` says which technique has which."""
