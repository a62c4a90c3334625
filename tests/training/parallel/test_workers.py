import signal
import sys
import time

import pytest

from tunegate.training.parallel.workers import Worker


def ended(script: str, rank: int = 1) -> Worker:
    worker = Worker([sys.executable, "-c", script], {"RANK": str(rank)})
    while worker.code is None:
        time.sleep(0.01)
    return worker


def test_the_last_lines_of_a_process_are_kept_and_those_of_a_bar_are_lines_too() -> None:
    worker = ended("import sys; sys.stderr.write('one\\n' * 30 + 'step 1\\rstep 2\\n\\nerror: no such file')")
    assert worker.last_lines.splitlines()[-3:] == ["  step 1", "  step 2", "  error: no such file"]
    assert len(worker.last_lines.splitlines()) == 12
    assert worker.code == 0


def test_only_the_first_process_shows_what_it_says(capfd: pytest.CaptureFixture[str]) -> None:
    script = "import os, sys; print('out', os.environ['RANK']); print('err', os.environ['RANK'], file=sys.stderr)"
    for rank in (0, 1):
        ended(script, rank)
    assert capfd.readouterr() == ("out 0\n", "err 0\n")


@pytest.mark.parametrize(
    ("script", "ending", "number"),
    [
        ("import sys; sys.exit(3)", "ended with exit code 3", 0),
        ("import sys; sys.exit(143)", "ended with exit code 143", signal.SIGTERM),
        # Who is started in the background of a shell starts deaf to SIGINT.
        (
            "import os, signal; signal.signal(2, signal.default_int_handler); os.kill(os.getpid(), 2)",
            "was killed by SIGINT",
            signal.SIGINT,
        ),
        ("import os; os.kill(os.getpid(), 9)", "was killed by SIGKILL (memory may have been short)", 0),
    ],
)
def test_the_way_a_process_ended_is_put_in_words(script: str, ending: str, number: int) -> None:
    # Python would answer SIGINT with a traceback and end by the signal itself.
    worker = ended(script)
    assert worker.ending == ending
    assert worker.signal_number == number


def test_a_process_that_does_not_listen_is_ended_by_force(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunegate.training.parallel.workers._GRACE_SECONDS", 0.2)
    deaf = "import signal, sys, time; signal.signal(15, signal.SIG_IGN); print('deaf', file=sys.stderr); time.sleep(60)"
    worker = Worker([sys.executable, "-c", deaf], {"RANK": "1"})
    while not worker.last_lines:
        time.sleep(0.01)
    worker.end()
    assert worker.code == -signal.SIGKILL


def test_a_process_that_has_ended_takes_no_signal() -> None:
    worker = ended("")
    worker.signal(signal.SIGTERM)
    worker.end()
    assert worker.code == 0
