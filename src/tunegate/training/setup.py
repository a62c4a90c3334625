"""What training starts from, the same for the stage and for a preflight: labels, model and technique."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tunegate.models.labels import Labels, labels_of
from tunegate.models.tokens.examples import Example
from tunegate.params import Train
from tunegate.training.adapter import start
from tunegate.training.technique import Technique
from tunegate.training.techniques.classify import classify
from tunegate.training.techniques.distill import distill
from tunegate.training.techniques.fewshot import fewshot
from tunegate.training.techniques.multitask import multitask
from tunegate.training.techniques.preference import preference
from tunegate.training.techniques.pretrain import pretrain
from tunegate.training.techniques.reinforce import reinforce
from tunegate.training.techniques.semisupervised import semisupervised
from tunegate.training.techniques.sft import sft


def begin(
    settings: Train, base: Path, train: Sequence[Example], valid: Sequence[Example]
) -> tuple[Labels | None, Any, Technique]:
    """(labels of a head, if there is one; the model to be trained; the technique that knows it)."""
    labels = labels_of(train, valid, settings.classify) if settings.has_head else None
    model = start(base, settings, labels)
    return labels, model, technique_of(settings, model, base)


def technique_of(settings: Train, model: Any, base: Path) -> Technique:  # noqa: PLR0911 (one for each technique)
    """The technique that `train.technique` names; `model` is what training starts from, made of the folder `base`.

    Ask before anything is trained or resumed: some techniques hold on to what the model was.
    """
    match settings.technique:
        case "sft":
            return sft()
        case "classify":
            return classify(settings, model)
        case "preference":
            return preference(settings, model)
        case "reinforce":
            return reinforce(settings, model, base)
        case "distill":
            return distill(settings, base)
        case "pretrain":
            return pretrain(settings)
        case "multitask":
            return multitask(settings)
        case "semisupervised":
            return semisupervised(settings, base)
        case "fewshot":
            return fewshot(settings)
