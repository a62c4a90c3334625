"""The verdict: what the gate says of a change, as typed values with a published JSON schema.

Everything a reader is told is a `sentence` in here, so that terminal, Markdown and HTML say the same. Values are those
of the commits alone: no time, no machine, no path. This module does not decide; `tunegate.gate.decision` does.
"""

from typing import Any, Literal

from pydantic import Field

from tunegate.gate.policy import Direction, Role
from tunegate.params import Closed

Outcome = Literal["pass", "refused", "inconclusive"]
Level = Literal["refused", "inconclusive", "approval", "warning", "note"]
"""How much a reason weighs; `approval` is inconclusive until a person approves."""

EXIT_CODES: dict[Outcome, int] = {"pass": 0, "refused": 3, "inconclusive": 4}


class McNemar(Closed):
    """The exact test of paired binary outcomes (McNemar 1947; Dietterich 1998), two-sided, rows as observations."""

    fixed: int
    """Rows that only the candidate answers correctly."""
    broken: int
    """Rows that only the baseline answers correctly."""
    p: float


class MetricResult(Closed):
    """One metric of both models, and what the policy makes of it."""

    name: str
    role: Role
    direction: Direction
    margin: float
    floor: float | None
    candidate: float
    baseline: float | None
    """None where there is no baseline: the first model."""
    difference: float | None
    """candidate - baseline, in the metric's unit."""
    low: float | None
    """Lower one-sided bound of the difference at the policy's alpha."""
    high: float | None
    """Upper one-sided bound."""
    outcome: Outcome
    too_few: bool = False
    """Whether it has fewer rows or clusters than the policy wants for it: it cannot pass."""
    alpha: float | None = None
    """Of `low` and `high`: the metric's own, or the policy's."""
    needed_rows: int | None = None
    """Test rows with which a change like this one would be decided."""
    mcnemar: McNemar | None = None
    seed_deviation: float | None = None
    """Standard deviation of this metric between training seeds, where recorded."""
    sentence: str


class SliceResult(Closed):
    """The primary metric within one value of a slice."""

    slice: str
    value: str
    rows: int
    candidate: float
    baseline: float
    difference: float
    low: float | None
    """None where there are too few rows to say."""
    high: float | None
    p: float | None
    """Of the hypothesis that the slice is worse by its margin at most, corrected by Holm over all tested slices.
    A small one says that it is clearly worse; a large one does not say that it is as good."""
    outcome: Literal["pass", "refused", "warning", "untested"]
    sentence: str


class GuardResult(Closed):
    """One bound on what the metrics do not see."""

    name: str
    candidate: float | None
    baseline: float | None
    limit: float
    outcome: Literal["pass", "refused", "warning"]
    sentence: str


class TestSet(Closed):
    """The rows that both models answered."""

    __test__ = False
    sha256: str
    """Of ids, groups, questions, references, labels and slices, sorted by id."""
    rows: int
    clusters: int
    changed: bool
    """Whether the baseline was locked with another test set."""
    uses: int
    """Different predictions on this test set in the history of the two commits, this one included."""
    budget: int


class Reason(Closed):
    """One sentence of the verdict."""

    level: Level
    text: str


class Revisions(Closed):
    """What was compared; commits in forty hexadecimal digits."""

    base: str
    """The revision of the target branch."""
    merge_base: str
    """Where the baseline was locked."""
    head: str
    """The candidate's commit, or `working tree`."""


class Verdict(Closed):
    """What the gate says of a change."""

    schema_version: Literal[1] = 1
    outcome: Outcome
    headline: str
    """The verdict in one sentence."""
    reasons: list[Reason]
    """Why, the heaviest first."""
    revisions: Revisions
    unchanged: bool = False
    """Whether the model is the baseline's: the same rows, weights, package and predictions. It passes untested."""
    rescored: bool
    """Whether the baseline model was scored again, on the candidate's test set."""
    approvals: list[str]
    """Who approved."""
    policy_sha256: str
    alpha: float
    resamples: int
    test_set: TestSet
    metrics: list[MetricResult]
    slices: list[SliceResult]
    guards: list[GuardResult]
    contamination: dict[str, list[str]] = Field(default={})
    """`exact` and `near`: ids of test rows that the training rows contain, with the training row's id."""
    seeds: int = 1
    """Training seeds recorded for this recipe."""

    @property
    def exit_code(self) -> int:
        """The process's exit code."""
        return EXIT_CODES[self.outcome]


def schema() -> dict[str, Any]:
    """The JSON schema of a verdict."""
    return Verdict.model_json_schema()
