import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tunegate.files import read_json, read_yaml, write_yaml

Run = Callable[..., str]
STAGES = ["ingest", "train", "score"]
"""One that imports little, one that imports most, one that writes what git tracks."""


def command(project: Path, stage: str) -> list[str]:
    words = shlex.split(read_yaml(project / "dvc.yaml")["stages"][stage]["cmd"])
    return [sys.executable, *words[1:]]


def start(project: Path, stage: str) -> "subprocess.Popen[str]":
    """A stage in a process of its own, as it starts for users: not in a fork."""
    own = {name: value for name, value in os.environ.items() if name != "TUNEGATE_TEST_FORKSERVER"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command(project, stage), cwd=project, env=own, text=True, **pipes)


def leftovers(project: Path) -> list[Path]:
    return [path for path in project.rglob("*") if path.name.endswith((".part", ".old"))]


def wait_for_one_in(folder: Path, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 120
    while not any(folder.glob("[0-9]*")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, f"nothing came into {folder}"
        time.sleep(0.01)


def wait_until_signals_are_handled(process: "subprocess.Popen[str]") -> None:
    """Wait until the process catches SIGTERM, which a stage does before it imports anything heavy."""
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status").read_text()
        caught = int(next(line for line in status.splitlines() if line.startswith("SigCgt")).split()[1], 16)
        if caught & 1 << (signal.SIGTERM - 1):
            time.sleep(0.2)
            return
        time.sleep(0.005)


def long_training(project: Path) -> Path:
    params = read_yaml(project / "params.yaml")
    params["train"] |= {"checkpoint_every": 2}
    write_yaml(project / "params.yaml", params)
    return project / ".tunegate/checkpoint"


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_stage_quietly_and_leaves_nothing_half_written(
    project: Path, stage: str, number: int, code: int
) -> None:
    process = start(project, stage)
    wait_until_signals_are_handled(process)
    process.send_signal(number)
    _, said = process.communicate(timeout=120)
    assert process.returncode == code, said
    assert "Traceback" not in said
    assert leftovers(project) == []


def test_a_killed_training_resumes_to_the_same_bytes(project: Path, run: Run) -> None:
    checkpoint = long_training(project)
    run(*command(project, "train"), cwd=project)
    expected = {file.name: file.read_bytes() for file in (project / "models/adapter").iterdir()}
    trajectory = (project / "models/trajectory.csv").read_bytes()
    whole = read_json(project / "models/train_cost.json")
    assert not checkpoint.exists()

    process = start(project, "train")
    wait_for_one_in(checkpoint, process)
    process.kill()
    process.communicate(timeout=120)
    assert checkpoint.exists()

    run(*command(project, "train"), cwd=project)
    assert {file.name: file.read_bytes() for file in (project / "models/adapter").iterdir()} == expected
    assert (project / "models/trajectory.csv").read_bytes() == trajectory
    cost = read_json(project / "models/train_cost.json")
    assert (whole["resumed"], cost["resumed"]) == (False, True)
    assert all(cost[name] == whole[name] for name in ("hardware", "tokens", "steps"))
    assert not checkpoint.exists()


def test_two_repros_at_once_do_not_harm_each_other(project: Path, run: Run) -> None:
    expected = {file.name: file.read_bytes() for file in (project / "models/adapter").iterdir()}
    dvc = [sys.executable, "-m", "dvc", "repro", "--force", "--single-item", "train"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    both = [subprocess.Popen(dvc, cwd=project, text=True, **pipes) for _ in range(2)]
    said = [process.communicate(timeout=300)[0] for process in both]
    # Whoever comes second waits, or is told who holds the lock; it can be either, and even each of the other.
    assert all(p.returncode == 0 or "lock" in text for p, text in zip(both, said, strict=True)), said
    run("dvc", "repro", cwd=project)
    assert {file.name: file.read_bytes() for file in (project / "models/adapter").iterdir()} == expected
    assert leftovers(project) == []
