"""Where a training begins, the same for the stage and for a preflight: labels, model and technique.

Reads the base model's folder; does not train.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tunegate.models.labels import Labels, labels_of
from tunegate.models.tokens.examples import Example
from tunegate.params import Train
from tunegate.training.adapter import start
from tunegate.training.technique import Technique
from tunegate.training.techniques.choice import technique_of


def begin(
    settings: Train, base: Path, train: Sequence[Example], valid: Sequence[Example]
) -> tuple[Labels | None, Any, Technique]:
    """(labels of a head, if there is one; the model to be trained; the technique that knows it)."""
    labels = labels_of(train, valid, settings.classify) if settings.has_head else None
    model = start(base, settings, labels)
    return labels, model, technique_of(settings, model, base)
