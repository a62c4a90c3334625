import os
import signal

import pytest

from tunegate.errors import Stopped
from tunegate.training import signals


def test_a_second_signal_does_not_wait_for_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    with signals.noted(impatient=True) as caught:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        assert caught == [signal.SIGINT] * 2
        monkeypatch.setattr(signals, "_SAME_SECONDS", 0.0)
        with pytest.raises(Stopped):
            os.kill(os.getpid(), signal.SIGINT)


def test_a_process_of_a_team_waits_for_the_step_however_often_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "_SAME_SECONDS", 0.0)
    with signals.noted() as caught:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)
    assert caught == [signal.SIGTERM, signal.SIGINT, signal.SIGTERM]


def test_afterwards_signals_do_what_they_did_before() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(KeyError), signals.noted():
        raise KeyError
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_who_leaves_says_where_the_run_resumes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Stopped) as caught:
        signals.leave(signal.SIGTERM, 12)
    assert caught.value.number == signal.SIGTERM
    assert "after step 12" in capsys.readouterr().err
