"""The service: BentoML and the gateway. Runs without torch."""
