"""Manifest, packaging, model card and image."""
