"""Which task a row belongs to, by its source or one of its slices; and draws from the rows of a task."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tunegate.errors import InputError
from tunegate.models.tokens.examples import Example
from tunegate.text import did_you_mean

Tasks = dict[str, list[Example]]


def tasks_of(examples: Sequence[Example], name: str, place: str) -> Tasks:
    """Task to its examples, in the order of the tasks' names; `name` is `source` or a slice.

    Raises InputError, at `place`, for a row that has no such slice.
    """
    tasks: Tasks = {}
    for example in examples:
        slices = example.tasks or {}
        if name not in slices:
            problem = f"the row {example.id} has no slice {name!r}{did_you_mean(name, slices)}"
            remedy = f"name one that every row has (this one has {', '.join(sorted(slices)) or 'none'})"
            raise InputError(problem, place=place, remedy=remedy)
        tasks.setdefault(slices[name], []).append(example)
    return dict(sorted(tasks.items()))


def require_same_tasks(train: Tasks, valid: Tasks, place: str) -> None:
    """Raise InputError that names the tasks which only one of both splits has."""
    only = {"train": valid.keys() - train.keys(), "valid": train.keys() - valid.keys()}
    for split, missing in only.items():
        if missing:
            problem = f"no row of the task {', '.join(map(repr, sorted(missing)))} in the split {split}"
            remedy = "give the task more rows, raise prepare.valid_share, or leave its rows out"
            raise InputError(problem, place=place, remedy=remedy)


def endless(items: Sequence[Any], seed: Sequence[int]) -> Iterator[Any]:
    """The items again and again, each time all of them in a new order."""
    random = np.random.default_rng(seed)
    while True:
        yield from (items[index] for index in random.permutation(len(items)))
