"""Adapters, batching, loss, the loop and its checkpoints."""
