import gc
import time
from pathlib import Path

import pytest

from tunegate.training.techniques.reward_process import RewardError, RewardProcess

CODE = """
import os, time

def length(answer, row):
    print("words of the function", flush=True)
    return len(answer)

def more(answer, row):
    return len(set(os.environ) - {"PATH", "LD_LIBRARY_PATH", "TMPDIR", "LC_ALL", "PYTHONHASHSEED", "OMP_NUM_THREADS"})

def asleep(answer, row):
    time.sleep(60 if answer == "slow" else 0)
    return 1
"""


@pytest.fixture
def code(tmp_path: Path) -> str:
    (tmp_path / "answers.py").write_text(CODE)
    return str(tmp_path / "answers.py")


def started(code: str, function: str, seconds: float = 10.0) -> RewardProcess:
    return RewardProcess({"kind": "python", "path": code, "function": function}, seconds)


def test_a_process_ends_with_what_asked_it(code: str) -> None:
    reward = started(code, "length")
    process = reward._process
    codes = [process.poll()]
    del reward
    gc.collect()
    assert [*codes, process.poll()] == [None, -9]


def test_one_process_scores_one_answer_after_another_whatever_it_prints(code: str) -> None:
    reward = started(code, "length")
    assert [reward.value(answer, {}) for answer in ("roof", "", "two\nlines", "å" * 100_000)] == [4, 0, 9, 100_000]


def test_of_the_environment_only_what_it_needs_is_passed_on(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_OF_THE_FIRM", "s3cret")
    assert started(code, "more").value("", {}) == 0


def test_a_call_beyond_its_time_ends_the_process_and_every_later_call_is_an_error(code: str) -> None:
    reward = started(code, "asleep", 0.3)
    assert reward.value("quick", {}) == 1
    before = time.monotonic()
    with pytest.raises(RewardError, match=r"longer than 0\.3 seconds"):
        reward.value("slow", {})
    assert time.monotonic() - before < 5
    assert reward._process.poll() == -9
    with pytest.raises((RewardError, ValueError)):
        reward.value("quick", {})


def test_what_cannot_run_is_an_error_at_the_start(code: str) -> None:
    with pytest.raises(RewardError, match="FileNotFoundError"):
        started(code.replace("answers", "gone"), "length")
