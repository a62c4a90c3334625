"""tunegate: the GitOps toolkit with which a company fine-tunes language models."""

__version__ = "0.1.0"
