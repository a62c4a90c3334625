"""One module per stage of dvc.yaml, of the same name: read, call, write."""
