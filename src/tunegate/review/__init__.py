"""What decides about a pull request: evidence, publication, the steps of CI, forges."""
