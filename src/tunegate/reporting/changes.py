"""What differs between baseline and candidate, gathered: everything a pull request's report tells besides the verdict.

Takes what the gate judged; reads the two snapshots. Does not decide and does not lay out.
"""

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tunegate.errors import InputError
from tunegate.evaluation.examples import Example, examples_of
from tunegate.evaluation.metrics import Pair, pairs_of
from tunegate.evaluation.trajectory import Point
from tunegate.files import parse_yaml
from tunegate.gate.policy import FILE, Policy
from tunegate.params import parse
from tunegate.reporting import data_changes, example_changes, params_changes, run_changes
from tunegate.repository.lineage import Lineage
from tunegate.repository.snapshot import Snapshot

if TYPE_CHECKING:
    from tunegate.gate.evidence import Judged

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


def changes_of(judged: "Judged") -> Changes:
    """The changes between the baseline, if there is one, and the candidate."""
    before, after = judged.baseline, judged.candidate
    ignore_case = after.params.evaluate.ignore_case
    old = _examples(judged.baseline_predictions, before) if before else []
    new = _examples(judged.candidate_predictions, after)
    return Changes(
        files=params_changes.file_changes(before, after) if before else [],
        packages=params_changes.package_changes(before, after) if before else [],
        others=params_changes.other_files(before, after) if before else {},
        data=data_changes.data_view(data_changes.with_forecast(judged.data, before, after)),
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


def policy_of(judged: "Judged") -> Policy:
    """The policy that the verdict was made by: the text, at base or candidate, whose hash the verdict names."""
    target = Snapshot(judged.candidate.repository, judged.verdict.revisions.base, judged.candidate.outputs)
    for snapshot in (target, judged.candidate):
        text = snapshot.text(FILE)
        if text is not None and hashlib.sha256(text.encode()).hexdigest() == judged.verdict.policy_sha256:
            place = snapshot.place(FILE)
            return parse(Policy, parse_yaml(text, place=place), place=place, remedy="docs/gate.md explains every key")
    problem = f"neither the base's nor the candidate's is the verdict's ({judged.verdict.policy_sha256[:12]})"
    raise InputError(problem, place=FILE, remedy="run `tunegate gate` again on these commits")


def _examples(table: object, snapshot: Snapshot) -> Sequence[Example]:
    # A baseline that the gate scored again was asked without the untuned base.
    return examples_of(table, place=snapshot.place(PREDICTIONS), models=("tuned",))
