"""A verdict by hand on two commits of a miniature project, for tests of what shows one."""

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tunegate.data.diff.compare import compare_snapshots
from tunegate.files import parse_yaml
from tunegate.gate.policy import FILE, Policy
from tunegate.gate.verdict import (
    GuardResult,
    McNemar,
    MetricResult,
    Reason,
    Revisions,
    SliceResult,
    TestSet,
    Verdict,
)
from tunegate.reporting.evidence import Evidence
from tunegate.repository.outputs import open_outputs
from tunegate.repository.revisions import open_repository
from tunegate.repository.snapshot import Snapshot
from tunegate.tables import read_parquet

EVIL = "<script>alert(1)</script> | `x` @everyone [a](http://evil.example) #1 \u202e\n\n## heading"


def metric(name: str = "accuracy", **changes: Any) -> MetricResult:
    """A primary accuracy that rose by 5 points, 1 to 9."""
    values: dict[str, Any] = {
        "role": "primary",
        "direction": "higher",
        "margin": 0.05,
        "floor": 0.4,
        "candidate": 0.75,
        "baseline": 0.7,
        "difference": 0.05,
        "low": 0.01,
        "high": 0.09,
        "outcome": "pass",
        "sentence": f"{name} rose by 5.0 points",
    }
    return MetricResult(name=name, **(values | changes))


def part(value: str = "en", **changes: Any) -> SliceResult:
    """A language whose accuracy fell by a point, -6 to +4."""
    values: dict[str, Any] = {
        "slice": "language",
        "rows": 100,
        "candidate": 0.69,
        "baseline": 0.7,
        "difference": -0.01,
        "low": -0.06,
        "high": 0.04,
        "p": 0.3,
        "outcome": "pass",
        "sentence": f"language {value} is fine",
    }
    return SliceResult(value=value, **(values | changes))


def verdict(**changes: Any) -> Verdict:
    """A pass with a warning and a note."""
    values: dict[str, Any] = {
        "outcome": "pass",
        "headline": "Pass, with 1 warning: accuracy rose by 5.0 points",
        "reasons": [
            Reason(level="warning", text="the answers are slow"),
            Reason(level="note", text="accuracy rose by 5.0 points"),
            Reason(level="note", text="one training seed (`tunegate noise` measures the recipe)"),
        ],
        "revisions": Revisions(base="a" * 40, merge_base="b" * 40, head="c" * 40),
        "rescored": False,
        "approvals": [],
        "policy_sha256": "d" * 64,
        "alpha": 0.05,
        "resamples": 10000,
        "test_set": TestSet(sha256="e" * 64, rows=200, clusters=100, changed=False, uses=2, budget=50),
        "metrics": [
            metric(mcnemar=McNemar(fixed=20, broken=10, p=0.0987)),
            metric("macro_f1", role="info", margin=0.0, floor=None),
            metric("nll", role="guard", direction="lower", margin=0.25, floor=None, candidate=0.4, baseline=0.5)
            .model_copy(update={"difference": -0.1, "low": -0.2, "high": 0.05}),
        ],
        "slices": [part("en"), part("sv", low=None, high=None, p=None, outcome="untested", rows=9)],
        "guards": [GuardResult(name="latency", candidate=1, baseline=1, limit=2, outcome="pass", sentence="fast")],
    }  # fmt: skip
    return Verdict(**(values | changes))


@contextlib.contextmanager
def evidence_of(root: Path, base: str, head: str, **changes: Any) -> Iterator[Evidence]:
    """The project in `root` at `head` against `base`, with a verdict by hand."""
    repository = open_repository(root)
    first, second = repository.resolve(base), repository.resolve(head)
    with open_outputs(root) as outputs:
        before, after = (Snapshot(repository, commit, outputs) for commit in (first, second))
        text = before.text(FILE) or ""
        tables = [read_parquet(snapshot.output("models/predictions.parquet")) for snapshot in (before, after)]
        values = {
            "revisions": Revisions(base=first, merge_base=first, head=second),
            "policy_sha256": hashlib.sha256(text.encode()).hexdigest(),
        }
        policy = Policy.model_validate(parse_yaml(text, place=FILE))
        data = compare_snapshots(before, after)
        yield Evidence(verdict(**(values | changes)), policy, after, before, tables[1], tables[0], data)
