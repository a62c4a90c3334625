"""What became of each test row between two models, and which confusions came and went.

Takes the answers of both models, joined by id. Whether an answer is right is what its table says: the gate checked it.
"""

import collections
import dataclasses
from collections.abc import Sequence
from typing import Literal

from tunegate.evaluation.examples import Example
from tunegate.evaluation.metrics import pairs_of

Outcome = Literal["broken", "fixed", "wrong", "right", "new"]
ORDER: tuple[Outcome, ...] = ("broken", "fixed", "wrong", "right", "new")
"""In the order in which a reviewer wants to see them."""


@dataclasses.dataclass(frozen=True)
class ExampleChange:
    """A test row with the answers of baseline and candidate."""

    id: str
    outcome: Outcome
    question: str
    reference: str
    label: str | None
    slices: dict[str, str]
    before: str | None
    """None where the baseline did not answer this row."""
    before_correct: bool
    after: str
    after_correct: bool


@dataclasses.dataclass(frozen=True)
class Confusion:
    """How often one class was answered as another, before and after."""

    reference: str
    answer: str
    before: int
    after: int


def example_changes(before: Sequence[Example], after: Sequence[Example]) -> list[ExampleChange]:
    """The candidate's rows, the most telling outcome first, then by id. Raw text is left out: it has no answer."""
    answers = {example.id: example for example in before}
    changes = [_change(answers.get(example.id), example) for example in after if example.is_asked]
    return sorted(changes, key=lambda change: (ORDER.index(change.outcome), change.id))


def counts_of(changes: Sequence[ExampleChange]) -> dict[str, int]:
    """How many rows have each outcome; outcomes without rows have 0."""
    counts = collections.Counter(change.outcome for change in changes)
    return {outcome: counts[outcome] for outcome in ORDER}


def confusion_changes(before: Sequence[Example], after: Sequence[Example], *, ignore_case: bool) -> list[Confusion]:
    """The confusions whose count differs, over the rows that both answered; the largest difference first."""
    common = {example.id for example in before} & {example.id for example in after}
    old, new = (_confused([e for e in side if e.id in common], ignore_case) for side in (before, after))
    confusions = [Confusion(*pair, old[pair], new[pair]) for pair in old | new if old[pair] != new[pair]]
    return sorted(confusions, key=lambda c: (-abs(c.after - c.before), -c.after, c.reference, c.answer))


def _confused(examples: Sequence[Example], ignore_case: bool) -> collections.Counter[tuple[str, str]]:
    pairs = pairs_of(examples, "tuned", ignore_case=ignore_case)
    return collections.Counter((pair.reference, pair.answer) for pair in pairs if pair.reference != pair.answer)


def _change(before: Example | None, after: Example) -> ExampleChange:
    return ExampleChange(
        id=after.id,
        outcome=_outcome(before, after),
        question=after.question,
        reference=after.reference,
        label=after.label,
        slices=after.slices,
        before=before.tuned.text if before else None,
        before_correct=bool(before and before.tuned.correct),
        after=after.tuned.text,
        after_correct=after.tuned.correct,
    )


def _outcome(before: Example | None, after: Example) -> Outcome:
    if before is None:
        return "new"
    if before.tuned.correct:
        return "right" if after.tuned.correct else "broken"
    return "fixed" if after.tuned.correct else "wrong"
