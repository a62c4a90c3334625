"""Stages as processes of their own: run, interrupted, on a disk that is full."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from train_stage import STAGE, make_train_inputs, set_params

from tunegate.files import read_json, write_json, write_text, write_yaml
from tunegate.models.folders import PROVENANCE

Stage = Callable[..., tuple[int, str]]


@pytest.fixture
def stage() -> Stage:
    """`stage("ingest", *arguments)`: the exit code of a stage run as DVC runs it, and all that it said."""

    def run(name: str, *arguments: object) -> tuple[int, str]:
        done = subprocess.run(_command(name, arguments), check=False, capture_output=True, text=True, timeout=120)
        return done.returncode, done.stdout + done.stderr

    return run


@pytest.fixture
def interrupted() -> Callable[..., tuple[int, str]]:
    """`interrupted(signal, "ingest", *arguments)`: the same, with a signal sent as soon as the stage is at work.

    A stage is at work when the folder that it will rename to its last argument has appeared.
    """

    def run(number: signal.Signals, name: str, *arguments: object) -> tuple[int, str]:
        output = Path(str(arguments[-1]))
        # A shell that starts tests in the background has them ignore Ctrl-C, and so would the stage.
        before = signal.signal(signal.SIGINT, signal.SIG_DFL)
        process = subprocess.Popen(_command(name, arguments), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        signal.signal(signal.SIGINT, before)
        while process.poll() is None and not list(output.parent.glob(f".{output.name}.*.part")):
            time.sleep(0.001)
        process.send_signal(number)
        output = "".join(process.communicate(timeout=60))
        return process.returncode, output

    return run


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of 64 KiB; skips where mounting is not allowed."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    with contextlib.suppress(FileNotFoundError):
        if subprocess.run(command, check=False, capture_output=True).returncode == 0:
            yield folder
            subprocess.run(["umount", str(folder)], check=True)
            return
    pytest.skip("mounting a tmpfs is not allowed here")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with params.yaml, a lock, one declared CSV of twelve rows and the suite `questions`."""
    root = Path(__file__).resolve().parents[2]
    monkeypatch.chdir(tmp_path)
    write_text(Path("params.yaml"), (root / "params.yaml").read_text())
    write_text(Path("lock.txt"), "")
    rows = [f"What of number {n}?,{('roof', 'heat')[n % 2]}\n" for n in range(12)]
    write_text(Path("data/raw/mine.csv"), "text,label\n" + "".join(rows))
    write_yaml(Path("data/sources.yaml"), {"sources": [{"name": "mine", "path": "data/raw/mine.csv"}]})
    suite = (root / "data/expectations/questions.json").read_text()
    write_text(Path("data/expectations/questions.json"), suite)
    return tmp_path


@pytest.fixture(scope="session")
def first_trained(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the stage `train` reads and has left, on the tiny model. Read only."""
    from accelerate.state import AcceleratorState

    from tunegate.stages import train

    AcceleratorState._reset_state(reset_partial_state=True)
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        make_train_inputs(tiny_model)
        provenance = folder / "base" / PROVENANCE
        write_json(provenance, read_json(provenance) | {"model": "tiny", "license": "MIT"})
        set_params({}, tokens_per_step=64)
        train.main(*STAGE[1:])
    return folder


@pytest.fixture
def trained(first_trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, which is the working directory."""
    folder = Path(shutil.copytree(first_trained, tmp_path / "trained"))
    monkeypatch.chdir(folder)
    return folder


def _command(name: str, arguments: tuple[object, ...]) -> list[str]:
    assert "TUNEGATE_TRACEBACK" not in os.environ
    return [sys.executable, "-m", "tunegate.stages", name, *map(str, arguments)]
