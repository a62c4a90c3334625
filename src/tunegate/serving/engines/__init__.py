"""Engines that turn tokens into answers. Each heavy library lives in one of them."""
