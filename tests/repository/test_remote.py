from collections.abc import Iterator
from pathlib import Path

import pytest

from tunegate.errors import InputError, MachineError
from tunegate.repository.remote import open_dvc, retried


def test_a_remote_that_stutters_is_asked_again_and_one_that_is_silent_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("tunegate.repository.remote.sleep", pauses.append)
    answers: Iterator[str | Exception] = iter([OSError("busy"), ValueError("odd"), "here", *[TimeoutError("late")] * 3])

    def ask() -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert (retried(ask, place="store"), pauses) == ("here", [2, 4])
    with pytest.raises(MachineError, match="store: the DVC remote does not answer, 3 times: TimeoutError: late"):
        retried(ask, place="store")


def test_an_error_of_our_own_is_an_answer_and_not_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunegate.repository.remote.sleep", lambda _: pytest.fail("waited"))

    def ask() -> None:
        raise InputError("damaged", place="a")

    with pytest.raises(InputError, match="damaged"):
        retried(ask, place="store")


def test_a_folder_without_dvc_is_no_project(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a DVC project"):
        open_dvc(tmp_path)
