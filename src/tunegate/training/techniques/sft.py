"""Supervised fine-tuning: the next token of every answer."""

from tunegate.training.batching import collate, shuffled
from tunegate.training.loss import next_token_loss
from tunegate.training.technique import Technique


def sft() -> Technique:
    """What supervised fine-tuning gives to the loop."""
    return Technique(collate=collate, loss=next_token_loss, plan=shuffled)
