"""The labels that a head tells apart: those of the training rows, sorted; one per row, or several.

Found in the examples, kept in tuned.json with the weights, and read back from there.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from tunegate.errors import InputError
from tunegate.params import Classify
from tunegate.text import listed

_SHOWN = 5


class Labelled(Protocol):
    """An example of `classify`, such as `tunegate.models.tokens.examples.Example`."""

    @property
    def id(self) -> str:
        """The row's."""
        ...

    @property
    def target(self) -> str | None:
        """The label or labels as the row has them."""
        ...


@dataclasses.dataclass(frozen=True)
class Labels:
    """Label number n is `names[n]`, and the head's output n."""

    names: tuple[str, ...]
    multi: bool = False
    """Whether a row may have several labels, or none."""
    separator: str = ";"
    """What stands between several."""
    threshold: float = 0.5
    """Probability from which a label of several is given."""

    def of(self, text: str) -> tuple[str, ...]:
        """The labels of a row, sorted, whether known or not."""
        return split(text, self.separator if self.multi else None)

    def text(self, labels: Iterable[str]) -> str:
        """Labels as a row has them, sorted."""
        return self.separator.join(sorted(labels))

    def target(self, text: str) -> int | list[float]:
        """What the loss compares with: the label's number; of several, 1 for each that the row has and 0 for others."""
        labels = self.of(text)
        return [float(name in labels) for name in self.names] if self.multi else self.names.index(labels[0])

    def unknown(self, text: str) -> tuple[str, ...]:
        """The row's labels that no training row has."""
        return tuple(name for name in self.of(text) if name not in self.names)

    def record(self) -> dict[str, Any]:
        """The labels as they stand in tuned.json."""
        kinds = {"labels": list(self.names), "multi_label": self.multi}
        return kinds | {"separator": self.separator, "threshold": self.threshold}

    @classmethod
    def recorded(cls, record: Mapping[str, Any]) -> "Labels":
        """The labels that `record` wrote."""
        return cls(tuple(record["labels"]), record["multi_label"], record["separator"], record["threshold"])


def labels_of(train: Sequence[Labelled], valid: Sequence[Labelled], settings: Classify) -> Labels:
    """The labels of the training examples.

    Raises InputError for rows without a label where each needs one, for a single label, which leaves nothing to tell
    apart, and for labels of validation rows that no training row has.
    """
    separator = settings.separator if settings.multi_label else None
    if not settings.multi_label:
        _refuse_unlabelled([*train, *valid])
    names = tuple(sorted({name for example in train for name in split(example.target or "", separator)}))
    if len(names) < (1 if settings.multi_label else 2):
        problem = f"the training rows have {len(names)} labels ({', '.join(names)}): there is nothing to tell apart"
        raise InputError(problem, place="data/tokens/train.parquet", remedy="add rows with other labels")
    labels = Labels(names, settings.multi_label, settings.separator, settings.threshold)
    require_known(labels, {example.id: example.target or "" for example in valid}, "the split valid")
    return labels


def require_known(labels: Labels, rows: Mapping[str, str], place: str) -> None:
    """Raise InputError that names labels, and the ids of their rows, that no training row has."""
    where: dict[str, list[str]] = {}
    for row, text in rows.items():
        for name in labels.unknown(text):
            where.setdefault(name, []).append(row)
    if where:
        shown = "; ".join(f"{name!r} (rows {listed(where[name], _SHOWN)})" for name in sorted(where)[:_SHOWN])
        problem = f"{len(where)} labels that no training row has: {shown}"
        remedy = "add rows with them, raise prepare.min_rows_per_label, or set prepare.stratify to true"
        raise InputError(problem, place=place, remedy=remedy)


def split(text: str, separator: str | None) -> tuple[str, ...]:
    """The labels in a text, sorted, each once; without a separator, the text is one."""
    parts = [text] if separator is None else text.split(separator)
    return tuple(sorted({part.strip() for part in parts} - {""}))


def _refuse_unlabelled(examples: Sequence[Labelled]) -> None:
    unlabelled = [example.id for example in examples if not (example.target or "").strip()]
    if unlabelled:
        remedy = "label them, drop them, or set train.classify.multi_label to true, where a row may have none"
        raise InputError(f"rows without a label: {listed(unlabelled, _SHOWN)}", place="train.classify", remedy=remedy)
