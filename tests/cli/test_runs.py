import json
import subprocess
import sys
from pathlib import Path

import pytest

from tunegate.tracking.outbox import ADAPTER, Record, Run, mark_uploaded, receipt_now, write_record


def tunegate(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tunegate.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def recorded(lineage: str) -> Record:
    Path("adapter").mkdir(exist_ok=True)
    metrics = {"base.accuracy": 0.0, "tuned.accuracy": 0.5}
    run = Run(name="n", commit="c" * 40, branch="", dirty=True, lineage=lineage, params={}, metrics=metrics)
    return write_record(run, {ADAPTER: Path("adapter")})


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def test_no_runs_yet_says_how_to_get_one() -> None:
    done = tunegate("runs")
    assert (done.returncode, done.stderr) == (0, "")
    assert "no runs yet: `dvc repro`" in done.stdout


def test_runs_are_listed_with_score_and_state() -> None:
    mark_uploaded(recorded("a" * 64), receipt_now(store="s", experiment_id="1", run_id="run-1", version="4"))
    pending = recorded("b" * 64)
    head, uploaded, kept = tunegate("runs").stdout.splitlines()
    assert head.split() == ["recorded", "(UTC)", "commit", "lineage", "score", "run", "state"]
    assert "cccccccc+  aaaaaaaaaaaa  0.0 % → 50.0 %  run-1" in uploaded
    assert uploaded.endswith("uploaded, version 4")
    assert pending.id in kept
    assert kept.endswith("pending")


def test_json_holds_everything() -> None:
    record = recorded("a" * 64)
    assert json.loads(tunegate("runs", "--json").stdout) == [record.model_dump()]


def test_sync_without_pending_runs_needs_no_store() -> None:
    done = tunegate("runs", "sync")
    assert (done.returncode, done.stdout, done.stderr) == (0, "nothing to upload\n", "")
    assert not Path("mlflow.db").exists()


def test_sync_fails_clearly_when_the_server_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    record = recorded("a" * 64)
    (Path(".tunegate/runs") / record.id / "artifacts/trajectory.csv").write_text("step,loss\n1,2\n")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:s3cret@127.0.0.1:1")
    done = tunegate("--traceback", "runs", "sync")
    assert done.returncode == 1
    assert "error: http://***@127.0.0.1:1: " in done.stderr
    assert "s3cret" not in done.stderr


def test_runs_are_compared_in_a_table_as_json_and_on_a_page() -> None:
    for letter in "ab":
        record = recorded(letter * 64)
        (Path(".tunegate/runs") / record.id / "artifacts/trajectory.csv").write_text("step,loss\n1,2\n")
    done = tunegate("runs", "compare", "aaaa", "bbbb", "--html", "page.html")
    assert done.returncode == 0, done.stderr
    assert "the parameters are the same" in done.stdout
    assert "tuned.accuracy  0.5" in done.stdout
    assert Path("page.html").read_text().count("<polyline") == 4
    found = json.loads(tunegate("runs", "compare", "aaaa", "bbbb", "--json").stdout)
    assert found["metrics"]["tuned.accuracy"] == {"deltas": [0.0, 0.0], "values": [0.5, 0.5]}
    assert tunegate("runs", "compare", "aaaa").returncode == 2
    assert "error: zzzz: no run on this machine" in tunegate("runs", "compare", "aaaa", "zzzz").stderr
