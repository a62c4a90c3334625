"""Which task a row belongs to: what its source, or one of its slices, says.

Reads and writes nothing; does not know what is done with tasks.
"""

import difflib
from collections.abc import Sequence

from tunegate.errors import InputError
from tunegate.models.tokens.examples import Example

Tasks = dict[str, list[Example]]


def tasks_of(examples: Sequence[Example], name: str, place: str) -> Tasks:
    """Task to its examples, in the order of the tasks' names; `name` is `source` or a slice.

    Raises InputError, at `place`, for a row that has no such slice.
    """
    found: Tasks = {}
    for example in examples:
        known = example.tasks or {}
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            problem = f"the row {example.id} has no slice {name!r}{hint}"
            remedy = f"name one that every row has (this one has {', '.join(sorted(known)) or 'none'})"
            raise InputError(problem, place=place, remedy=remedy)
        found.setdefault(known[name], []).append(example)
    return dict(sorted(found.items()))


def require_same_tasks(train: Tasks, valid: Tasks, place: str) -> None:
    """Raise InputError that names the tasks which only one of both splits has."""
    only = {"train": valid.keys() - train.keys(), "valid": train.keys() - valid.keys()}
    for split, missing in only.items():
        if missing:
            problem = f"no row of the task {', '.join(map(repr, sorted(missing)))} in the split {split}"
            remedy = "give the task more rows, raise prepare.valid_share, or leave its rows out"
            raise InputError(problem, place=place, remedy=remedy)
