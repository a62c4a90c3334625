import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tunegate.files import write_text, write_yaml
from tunegate.repository.background import Background, end_leftovers


@pytest.fixture
def project(tmp_path: Path, run: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> Path:
    # Processes are started and ended here: they must be those of the commands.
    monkeypatch.delenv("TUNEGATE_TEST_FORKSERVER", raising=False)
    stages = {"wait": "echo began && sleep 60", "fail": "echo 'error: x: is 3' && echo 'fix: make it 4' && exit 3"}
    write_yaml(tmp_path / "dvc.yaml", {"stages": {name: {"cmd": cmd} for name, cmd in stages.items()}})
    run("dvc", "init", "-q", "--no-scm", cwd=tmp_path)
    return tmp_path


def ended(stages: Background) -> int:
    while stages.code is None:
        time.sleep(0.05)
    return stages.code


def test_a_failed_stages_own_error_is_told(project: Path) -> None:
    stages = Background(project, ["fail"], project / "logs/fail.log")
    assert ended(stages) != 0
    failure = stages.failure()
    assert (failure.problem, failure.remedy) == ("x: is 3", "make it 4")


def test_a_stop_reaches_what_the_stage_started(project: Path) -> None:
    stages = Background(project, ["wait"], project / "wait.log")
    while "began" not in (project / "wait.log").read_text():
        time.sleep(0.02)
    stages.stop()
    assert ended(stages) != 0
    assert end_leftovers(project) == []


def test_what_a_killed_caller_left_is_ended_and_no_process_of_anybody_else(project: Path) -> None:
    left = Background(project, ["wait"], project / "wait.log")
    while "began" not in (project / "wait.log").read_text():
        time.sleep(0.02)
    shell = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], cwd=project)
    try:
        assert end_leftovers(project / "elsewhere") == []
        assert len(end_leftovers(project)) >= 2  # DVC, and the stage that it started
        assert ended(left) == -signal.SIGKILL
        assert shell.poll() is None
    finally:
        left.stop()
        shell.kill()
        shell.wait()


def test_the_words_go_to_the_log_as_they_come(project: Path) -> None:
    write_text(project / "x.py", "print('hello')")
    write_yaml(project / "dvc.yaml", {"stages": {"say": {"cmd": "python x.py"}}})
    stages = Background(project, ["say"], project / "say.log", {"PYTHONDONTWRITEBYTECODE": "1"})
    assert ended(stages) == 0
    assert "hello" in (project / "say.log").read_text()
