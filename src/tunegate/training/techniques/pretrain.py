"""Unsupervised adaptation to a domain: the next token of raw text.

Rows of the source `general` are held out of training and of the loss on the validation rows: stage `evaluate` measures
on them what the model forgets.
"""

from collections.abc import Sequence

from tunegate.errors import InputError
from tunegate.models.tokens.examples import Example
from tunegate.params import Train
from tunegate.text import did_you_mean
from tunegate.training.batching import collate, shuffled
from tunegate.training.loss import next_token_loss
from tunegate.training.technique import Technique

_PLACE = "params.yaml: train.pretrain.general"

Rows = Sequence[Example]


def pretrain(settings: Train) -> Technique:
    """What unsupervised adaptation gives to the loop."""

    def rows(train: Rows, valid: Rows) -> tuple[Rows, Rows]:
        return _of_domain(train, valid, settings.pretrain.general)

    return Technique(collate=collate, loss=next_token_loss, plan=shuffled, rows=rows)


def _of_domain(train: Rows, valid: Rows, general: str | None) -> tuple[Rows, Rows]:
    if general is None:
        return train, valid
    sources = sorted({_source(example) for example in (*train, *valid)})
    if general not in sources:
        remedy = f"name one of the sources with rows: {', '.join(sources)}"
        raise InputError(f"no row of a source {general!r}{did_you_mean(general, sources)}", place=_PLACE, remedy=remedy)
    of_domain = {
        name: [e for e in rows if _source(e) != general] for name, rows in (("train", train), ("valid", valid))
    }
    for split, rows in of_domain.items():
        if not rows:
            problem = f"all rows of the split {split} are of {general!r}, which is not trained on"
            raise InputError(problem, place=_PLACE, remedy="add a source of the domain in data/sources.yaml")
    return of_domain["train"], of_domain["valid"]


def _source(example: Example) -> str:
    return (example.tasks or {}).get("source", "")
