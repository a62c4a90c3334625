"""Catalogue, loading, chat template, tokenisation, export."""
