"""MLflow runs and registry."""
