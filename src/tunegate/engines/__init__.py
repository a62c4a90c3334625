"""What answers in production. Below evaluation and serving, so that a stage can score what will be served."""
