"""Paired answers made from what changed between two models, for tests of the gate's statistics."""

import numpy as np

from tunegate.gate.scores import Floats, Ints, Paired, Side


def pair_of(
    changes: list[int] | Floats | Ints, *, clusters: Ints | None = None, nll: Floats | None = None, share: float = 0.5
) -> Paired:
    """A row per change: +1 only the candidate is right, -1 only the baseline, 0 both or, for 1 - `share`, none."""
    change = np.asarray(changes)
    rows = len(change)
    agreed = np.arange(rows) < share * rows
    after, before = (np.where(change == 0, agreed, change == sign).astype(np.bool_) for sign in (1, -1))
    loss = np.ones(rows)
    zeros = np.zeros(rows, dtype=np.int64)
    return Paired(
        ids=[f"row-{i}" for i in range(rows)],
        groups=np.arange(rows) if clusters is None else clusters,
        slices={"language": ["en" if i % 2 else "sv" for i in range(rows)]},
        labelled=np.ones(rows, dtype=np.bool_),
        classes=["right"],
        references=zeros,
        candidate=Side(after, loss if nll is None else loss + nll, np.where(after, 0, -1)),
        baseline=Side(before, loss, np.where(before, 0, -1)),
    )


def outcomes(rows: int, *, lost: int = 0, won: int = 0) -> list[int]:
    """Changes of `rows` rows."""
    return [-1] * lost + [1] * won + [0] * (rows - lost - won)


def random_classifiers(rows: int, classes: int, rng: np.random.Generator, *, group: int = 1) -> Paired:
    """Two random classifiers, outcomes answers of which are no class."""
    references = rng.integers(0, classes, rows)
    sides = []
    for share in (0.6, 0.5):
        answered = np.where(rng.random(rows) < share, references, rng.integers(-1, classes, rows))
        sides.append(Side(answered == references, rng.gamma(2, 0.3, rows), answered))
    return Paired(
        ids=[f"row-{i:05d}" for i in range(rows)],
        groups=np.arange(rows) // group,
        slices={},
        labelled=np.ones(rows, dtype=np.bool_),
        classes=[f"class-{i}" for i in range(classes)],
        references=references,
        candidate=sides[0],
        baseline=sides[1],
    )
