"""What the gate needs to know beside the answers: times, sizes, ledgers, contamination, uses of the test set.

The candidate's numbers come from locked outputs whose run can be proven, not from the reports in git, which anyone can
edit; those of earlier models come from the reports in the base's history. Does not decide.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tunegate.data.compute.database import connect
from tunegate.data.ledger.stage_ledger import combine
from tunegate.data.similarity.overlap import Match, modest_memory, near_pairs
from tunegate.evaluation.metrics import p95_seconds
from tunegate.files import number_at, parse_json, read_json, text_at
from tunegate.gate.guards import Measurements
from tunegate.gate.policy import GuardPolicy
from tunegate.models.cost import Cost, read_cost
from tunegate.repository.revisions import Repository
from tunegate.repository.snapshot import Snapshot
from tunegate.tables import parquet_batches

METRICS = "reports/metrics.json"
TIMINGS = "reports/timings.json"
COST = "models/evaluate_cost.json"
PACKAGE = "models/package"
TOKENS = "data/tokens"
LEDGERS = ("data/ingested", "data/validated", "data/prepared", TOKENS)
"""Outputs with a ledger, in running order."""
_COLUMNS = ["id", "text", "messages"]


def measurements(policy: GuardPolicy, candidate: Snapshot, baseline: Snapshot | None, predictions: Any) -> Measurements:
    """What the policy's guards compare; what it does not bound is not read.

    `predictions` is the candidate's `pyarrow.Table`. Raises InputError for a number that was not recorded.
    """
    values: dict[str, Any] = {}
    if policy.latency_ratio is not None:
        values["p95_seconds"] = p95_seconds(predictions["tuned_seconds"].to_pylist())
        if candidate.locked(COST) is not None:
            values["hardware"] = read_cost(candidate.output(COST), Cost).hardware
        if baseline is not None:
            values["recorded_p95_seconds"] = list(_recorded_p95(baseline, values.get("hardware", "")))
    if policy.package_ratio is not None:
        package, before = candidate.locked(PACKAGE), baseline.locked(PACKAGE) if baseline else None
        values |= {"package_bytes": package and package.size, "baseline_package_bytes": before and before.size}
    if policy.trained_token_share is not None:
        ledger = read_json(candidate.output(TOKENS) / "ledger.json")
        share = number_at(ledger, f"{TOKENS}/ledger.json", "notes", "train_tokens_trained_share")
        values["trained_token_share"] = share
    if policy.dropped_row_share is not None:
        rows = combine([candidate.output(path) for path in LEDGERS if candidate.locked(path)])["rows"]
        values |= {"rows_in": rows["in"], "rows_out": rows["out"]}
    return Measurements(**values)


def contaminated(test: Path, train: Path, *, near: float) -> tuple[list[Match], list[Match]]:
    """Test rows that the training rows contain, exactly and nearly, each with its training row.

    `test` and `train` are folders of the stage `prepare`. Exact is the same question except for case, punctuation and
    white space; near is a Jaccard similarity of at least `near`.
    """
    tested = parquet_batches(test / "test.parquet", columns=_COLUMNS)
    trained = parquet_batches(train / "train.parquet", columns=_COLUMNS)
    with tempfile.TemporaryDirectory() as folder, connect(Path(folder), modest_memory()) as connection:
        matches = [Match(**pair) for pair in near_pairs(tested, trained, near, connection).to_pylist()]
    return [match for match in matches if match.similarity == 1], [match for match in matches if match.similarity < 1]


def uses_of_test_set(repository: Repository, revisions: list[str], test_set: str, candidate: str) -> int:
    """How many models were measured on the test set with this sha256, `candidate` (a lineage key) included.

    Every use wears a test set out (Karlaš et al., ease.ml/ci, arXiv 1903.00278). A use is another model's metrics in
    reports/metrics.json, anywhere in the history of `revisions`; the same model twice is one. Attempts that no branch
    kept, or that a squash folded into one commit, are unknown to git and not counted.
    """
    models = {candidate}
    for commit, content in repository.versions(revisions, METRICS).items():
        metrics = parse_json(content.decode("utf-8", "replace"), place=f"{commit[:12]}:{METRICS}")
        if isinstance(metrics, dict) and metrics.get("test_set") == test_set:
            models.add(str(metrics.get("lineage")))
    return len(models)


def _recorded_p95(baseline: Snapshot, hardware: str) -> Iterator[float]:
    assert baseline.commit
    for commit, content in baseline.repository.versions([baseline.commit], TIMINGS).items():
        place = f"{commit[:12]}:{TIMINGS}"
        timings = parse_json(content.decode("utf-8", "replace"), place=place)
        # Reports from before costs were recorded name no hardware.
        has_cost = isinstance(timings, dict) and "evaluate" in timings
        if has_cost and text_at(timings, place, "evaluate", "hardware") == hardware:
            yield number_at(timings, place, "tuned", "p95_seconds")


def _at(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value
