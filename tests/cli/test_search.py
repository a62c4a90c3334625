import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from analytic_project import make_analytic_project

from tunegate.cli.search import _line, _row
from tunegate.experiments.trials import Trial
from tunegate.files import read_json, write_yaml
from tunegate.repository.background import end_leftovers

PARAM = ("--param", "train.rank=8,16", "--param", "train.learning_rate=log:1e-4:1e-1")

GRID = ("--param", "train.rank=8,16", "--sampler", "grid", "--name", "s")


def start(*arguments: str, cwd: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tunegate.cli", "search", *arguments]
    return subprocess.Popen(
        command,
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TUNEGATE_UPLOAD": "0"},
    )


def wait_for(folder: Path, pattern: str, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 120
    while not list(folder.glob(pattern)):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, f"{pattern} never came"
        time.sleep(0.02)


def search(*arguments: str, cwd: Path, code: int = 0) -> tuple[str, str]:
    process = start(*arguments, cwd=cwd)
    out, said = process.communicate(timeout=300)
    assert process.returncode == code, said
    return out, said


@pytest.fixture(scope="module")
def first(run: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_analytic_project(tmp_path_factory.mktemp("formula") / "project", run)


@pytest.fixture
def project(first: Path, run: Callable[..., str], tmp_path: Path) -> Path:
    run("git", "clone", "-q", str(first), str(tmp_path / "project"), cwd=tmp_path)
    return tmp_path / "project"


def test_the_best_is_proposed_on_a_branch_and_nothing_else_moves(project: Path, run: Any) -> None:
    before = run("git", "rev-parse", "HEAD", cwd=project)
    out, said = search(*GRID, cwd=project)
    assert "trial 0 complete" in said
    assert "proposed on the new branch search/s:" in out
    assert "-  rank: 8\n+  rank: 16\n" in out
    assert "git push -u origin search/s" in out
    assert run("git", "rev-parse", "HEAD", cwd=project) == before
    assert run("git", "status", "--porcelain", cwd=project) == ""
    assert run("git", "diff", "--name-only", "main", "search/s", cwd=project) == "params.yaml\n"
    assert "Parameters of trial" in run("git", "log", "-1", "--format=%s", "search/s", cwd=project)
    page = (project / ".tunegate/search/s/report.html").read_text()
    assert "The best trial" in page
    findings = json.loads(search(*GRID, "--no-propose", "--json", cwd=project)[0])
    assert [trial["number"] for trial in findings["trials"]] == [0, 1]
    assert findings["proposal"] is None


def test_a_better_trial_of_a_search_that_went_on_is_proposed_on_a_branch_beside_the_first(
    project: Path, run: Any
) -> None:
    arguments = ("--param", "train.learning_rate=0.002,0.005,0.01", "--sampler", "grid", "--name", "s")
    assert "proposed on the new branch search/s:" in search(*arguments, "--trials", "2", cwd=project)[0]
    before = run("git", "rev-parse", "search/s", cwd=project)
    out, _ = search(*arguments, "--trials", "3", cwd=project)
    assert "proposed on the new branch search/s-2:" in out
    assert "+  learning_rate: 0.01\n" in out
    assert run("git", "rev-parse", "search/s", cwd=project) == before
    out, said = search(*arguments, "--trials", "3", "--propose", "search/s", cwd=project, code=3)
    assert "trial" in out.splitlines()[0]
    assert "page " in out
    assert "the branch exists, and holds something else" in said


def test_the_reason_of_a_trial_cannot_write_elsewhere_on_the_terminal() -> None:
    trial = Trial(number=3, params={"train.rank": 8}, diff={}, state="failed", reason="x\x1b[2J\ny", seconds=1)
    assert _line(trial) == r"trial 3 failed, 1 s: x\u001b[2J\ny  (train.rank=8)"
    assert _row(trial, [], is_best=False)[-1] == r"failed: x\u001b[2J\ny"


def test_a_killed_search_goes_on_and_gives_the_table_of_one_that_was_not(project: Path, run: Any) -> None:
    arguments = (*PARAM, "--trials", "2", "--no-propose", "--json")
    whole = json.loads(search(*arguments, "--name", "whole", cwd=project)[0])
    (project / "pause").write_text("0.4")
    run("git", "commit", "-qam", "slower", cwd=project)
    process = start(*arguments, "--name", "killed", cwd=project)
    folder = project / ".tunegate/search/killed"
    wait_for(folder, "trials/0.json", process)
    wait_for(folder, "checkouts/*/checkout/.tunegate/checkpoint/run.json", process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    mine = subprocess.Popen(["sleep", "600"], cwd=folder)
    kept = (folder / "trials/0.json").read_bytes()
    findings, _ = search(*arguments, "--name", "killed", cwd=project)
    assert (folder / "trials/0.json").read_bytes() == kept
    assert json.loads(findings)["table"] == whole["table"]
    assert not end_leftovers(folder)
    assert mine.poll() is None
    mine.kill()
    mine.wait()


def test_a_signal_ends_the_trials_too_and_leaves_no_checkout(
    project: Path, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TUNEGATE_TEST_FORKSERVER", raising=False)
    (project / "pause").write_text("20")
    run("git", "commit", "-qam", "slow", cwd=project)
    process = start(*PARAM, "--name", "s", cwd=project)
    folder = project / ".tunegate/search/s"
    wait_for(folder, "checkouts/*/checkout/.tunegate/checkpoint/run.json", process)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 143
    assert not list((folder / "checkouts").iterdir())
    assert not end_leftovers(folder)


def test_a_file_declares_a_search_and_a_dry_run_shows_its_first_batch(project: Path) -> None:
    space = {"train.rank": {"values": [8, 0]}}
    write_yaml(project / "search.yaml", {"space": space, "sampler": "grid"})
    out, _ = search("--dry-run", cwd=project)
    assert [line.split()[:2] for line in out.splitlines()] == [["trial", "train.rank"], ["0", "8"], ["1", "0"]]
    assert "must be greater than or equal to 1" in out
    assert not (project / ".tunegate").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 2, "nothing to search: there is no search.yaml"),
        (("--param", "train.rnk=8"), 1, "unknown key; did you mean 'rank'?"),
        (("--param", "train.rank=4", "--param", "train.rank=8"), 2, "--param: train.rank is given twice"),
        (("--param", "train.rank=8", "--objective", "accuracy"), 2, "not a metric and its direction"),
        (("--param", "train.rank=8", "--sampler", "best"), 1, "search.yaml: sampler: must be"),
        (("--param", "train.rank=8", "--propose", "a..b"), 2, "not a name for a branch (got 'a..b')"),
        (("--param", "train.rank=8", "--propose", "a", "--no-propose"), 2, "not both"),
    ],
)
def test_a_wrong_command_says_so_before_anything_runs(
    project: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    assert said in search(*arguments, cwd=project, code=code)[1]
    assert not (project / ".tunegate/search").exists()


def test_an_objective_that_no_run_has_fails_the_trials_with_what_there_is(project: Path) -> None:
    arguments = ("--param", "train.rank=8,16", "--name", "s", "--trials", "2")
    _, said = search(*arguments, "--objective", "tuned.acuracy:maximize", cwd=project, code=1)
    assert "tuned.acuracy is not finite" in said
    assert read_json(project / ".tunegate/search/s/trials/0.json")["state"] == "failed"
