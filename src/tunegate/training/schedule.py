"""The learning rate as a function of the step, so that a checkpoint needs no scheduler. Pure arithmetic."""

import math

from tunegate.params import Train


def learning_rate(step: int, steps: int, settings: Train) -> float:
    """The rate of step `step` (from 0) of `steps`: a linear warm-up, then as `settings.schedule` says.

    cosine falls to 0 along half a period (arXiv 1608.03983), linear along a line, constant not at all.
    """
    warmup = math.ceil(settings.warmup_share * steps)
    if step < warmup:
        return settings.learning_rate * (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    falls = {"cosine": 0.5 * (1 + math.cos(math.pi * done)), "linear": 1 - done, "constant": 1.0}
    return settings.learning_rate * falls[settings.schedule]
