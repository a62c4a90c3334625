"""Data augmentation: paraphrased copies of training rows."""
