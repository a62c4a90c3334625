"""What a verdict was made from, as reports read it. Plain values: `tunegate.review.evidence` gathers them."""

import dataclasses
from typing import Any

from tunegate.data.diff.result import DataDiff
from tunegate.gate.policy import Policy
from tunegate.gate.verdict import Verdict
from tunegate.repository.snapshot import Snapshot


@dataclasses.dataclass(frozen=True)
class Evidence:
    """A verdict with what it was made from; usable while the block of `open_evidence` lasts."""

    verdict: Verdict
    policy: Policy
    """The policy that the verdict was made by."""
    candidate: Snapshot
    baseline: Snapshot | None
    """None for the first model."""
    candidate_predictions: Any
    """`pyarrow.Table`."""
    baseline_predictions: Any
    """`pyarrow.Table` on the candidate's test set, scored again where needed; None for the first model."""
    data: DataDiff
    """How the data of the two differ."""
