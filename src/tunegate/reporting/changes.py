"""What differs between baseline and candidate, gathered: everything a pull request's report tells besides the verdict.

Takes what the gate judged; reads the two snapshots. Does not decide and does not lay out.
"""

import dataclasses
from collections.abc import Sequence

from tunegate.evaluation.examples import Example, examples_of
from tunegate.evaluation.metrics import Pair, pairs_of
from tunegate.evaluation.trajectory import Point
from tunegate.reporting import data_changes, example_changes, params_changes, run_changes
from tunegate.reporting.evidence import Evidence
from tunegate.repository.lineage import Lineage
from tunegate.repository.snapshot import Snapshot

PREDICTIONS = "models/predictions.parquet"


@dataclasses.dataclass(frozen=True)
class Changes:
    """Everything that differs; without a baseline, what the candidate is."""

    files: list[params_changes.FileChanges]
    packages: list[params_changes.Change]
    others: dict[str, int]
    data: data_changes.DataView
    ledger: list[run_changes.StageChange]
    examples: list[example_changes.ExampleChange]
    confusions: list[example_changes.Confusion]
    pairs: tuple[list[Pair], list[Pair]]
    """References and answers of baseline and candidate."""
    trajectories: tuple[list[Point], list[Point]]
    costs: list[run_changes.Cost]
    lineages: tuple[Lineage | None, Lineage | None]


def changes_of(evidence: Evidence) -> Changes:
    """The changes between the baseline, if there is one, and the candidate."""
    before, after = evidence.baseline, evidence.candidate
    ignore_case = after.params.evaluate.ignore_case
    old = _examples(evidence.baseline_predictions, before) if before else []
    new = _examples(evidence.candidate_predictions, after)
    return Changes(
        files=params_changes.file_changes(before, after) if before else [],
        packages=params_changes.package_changes(before, after) if before else [],
        others=params_changes.other_files(before, after) if before else {},
        data=data_changes.data_view(data_changes.with_forecast(evidence.data, before, after)),
        ledger=run_changes.ledger_changes(before, after),
        examples=example_changes.example_changes(old, new),
        confusions=example_changes.confusion_changes(old, new, ignore_case=ignore_case),
        pairs=(
            pairs_of(old, "tuned", ignore_case=ignore_case),
            pairs_of(new, "tuned", ignore_case=ignore_case),
        ),
        trajectories=(run_changes.trajectory_of(before), run_changes.trajectory_of(after)),
        costs=run_changes.costs(before, after),
        lineages=(run_changes.lineage_in(before), run_changes.lineage_in(after)),
    )


def _examples(table: object, snapshot: Snapshot) -> Sequence[Example]:
    # A baseline that the gate scored again was asked without the untuned base.
    return examples_of(table, place=snapshot.place(PREDICTIONS), models=("tuned",))
