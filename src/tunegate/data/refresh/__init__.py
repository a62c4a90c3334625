"""Databases, APIs and object stores become snapshots in data/raw. Runs in no stage."""
