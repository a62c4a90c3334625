"""Scoring again with a real model: a sample of a claim, and the incumbent on a test set that changed."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tunegate.errors import RefusedError
from tunegate.evaluation.rescoring import PREDICTIONS, check_sample
from tunegate.files import read_yaml, write_yaml
from tunegate.repository.lock import Entry, dump_lock, parse_lock
from tunegate.repository.outputs import open_outputs
from tunegate.repository.revisions import open_repository
from tunegate.repository.snapshot import Snapshot
from tunegate.review.evidence import open_evidence
from tunegate.tables import read_parquet, write_parquet

Run = Callable[..., str]


def sample(project: Path, rows: int) -> str:
    with open_outputs(project) as outputs:
        return check_sample(Snapshot(open_repository(project), None, outputs), rows=rows)


def rewrite(project: Path, **changes: Any) -> None:
    """Put something else into the lock's entry of `evaluate`."""
    lock = parse_lock((project / "dvc.lock").read_text(), place="dvc.lock")
    entry = Entry("evaluate", lock["evaluate"].raw | changes)
    (project / "dvc.lock").write_text(dump_lock({**lock, "evaluate": entry}))


def forge(project: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    """Put other predictions into the cache and name them in the lock, as someone who may write to both could."""
    path = project / "forged.parquet"
    write_parquet(path, change(read_parquet(project / PREDICTIONS)))
    md5 = hashlib.md5(path.read_bytes()).hexdigest()
    target = project / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    target.parent.mkdir(exist_ok=True)
    shutil.move(path, target)
    outs = parse_lock((project / "dvc.lock").read_text(), place="dvc.lock")["evaluate"].raw["outs"]
    rewrite(project, outs=[out | {"md5": md5} if out["path"] == PREDICTIONS else out for out in outs])


def with_column(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, values)


def test_an_honest_claim_reproduces(project: Path) -> None:
    assert "4 random test rows scored again: 4 equal answers" in sample(project, 4)


def test_a_claim_of_another_device_is_checked_on_what_this_machine_has(project: Path) -> None:
    settings = read_yaml(project / "params.yaml")["evaluate"]
    rewrite(project, params={"params.yaml": {"evaluate": settings | {"device": "cuda"}}})
    assert "4 random test rows scored again: 4 equal answers" in sample(project, 4)


def test_more_rows_than_there_are_means_all(project: Path) -> None:
    rows = read_parquet(project / PREDICTIONS).num_rows
    assert f"{rows} random test rows" in sample(project, 10_000)


def test_a_claimed_likelihood_that_does_not_reproduce_is_refused(project: Path) -> None:
    forge(project, lambda table: with_column(table, "tuned_nll", pc.multiply(table["tuned_nll"], 0.5)))
    with pytest.raises(RefusedError, match=r"NLL does not reproduce within 0\.01"):
        sample(project, 10_000)


def test_claimed_answers_that_do_not_reproduce_are_refused(project: Path) -> None:
    def all_right(table: pa.Table) -> pa.Table:
        better = with_column(table, "tuned_correct", pa.array([True] * table.num_rows))
        return with_column(better, "tuned_answer", pa.array(["nonsense"] * table.num_rows))

    forge(project, all_right)
    with pytest.raises(RefusedError, match="answers do not reproduce"):
        sample(project, 10_000)


def test_answers_to_other_rows_than_the_test_set_are_refused(project: Path) -> None:
    forge(project, lambda table: table.slice(1))
    with pytest.raises(RefusedError, match="but the test set has"):
        sample(project, 4)


def test_the_incumbent_is_scored_again_when_the_test_set_has_more_rows_and_another_id(project: Path, run: Run) -> None:
    old = read_parquet(project / PREDICTIONS)["id"][0].as_py()
    data = project / "data/raw/desks.csv"
    more = "".join(f"new-{i},the roof leaks above room {900 + i},roof\n" for i in range(20))
    data.write_text(data.read_text().replace(f"\n{old},", f"\n{old}-renamed,") + more)
    run("dvc", "repro", "-q", cwd=project)
    run("git", "commit", "-qam", "More rows, and another id", cwd=project)
    with open_evidence(project, base="HEAD~1") as evidence:
        verdict = evidence.verdict
        assert (verdict.rescored, verdict.test_set.changed) == (True, True)
        assert evidence.baseline_predictions["id"] == evidence.candidate_predictions["id"]
        assert old not in evidence.candidate_predictions["id"].to_pylist()
        assert any("the test set is not the baseline's" in reason.text for reason in verdict.reasons)
        assert verdict.outcome != "pass"


def test_the_incumbent_is_scored_again_when_the_measurement_changed(project: Path, run: Run) -> None:
    params = read_yaml(project / "params.yaml")
    params["evaluate"]["max_new_tokens"] = 1
    write_yaml(project / "params.yaml", params)
    run("dvc", "repro", "-q", cwd=project)
    run("git", "commit", "-qam", "Shorter answers", cwd=project)
    with open_evidence(project, base="HEAD~1") as evidence:
        assert evidence.verdict.rescored
        assert evidence.candidate_predictions["tuned_answer"] == evidence.baseline_predictions["tuned_answer"]
        assert any("params.yaml:evaluate" in reason.text for reason in evidence.verdict.reasons)
