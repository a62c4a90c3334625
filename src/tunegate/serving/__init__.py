"""The service: BentoML, gateway and engines. Runs without torch."""
