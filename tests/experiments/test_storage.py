import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import optuna
import pytest
from servers import postgres

from tunegate.errors import MachineError, UsageError
from tunegate.experiments.declaration import Search
from tunegate.experiments.sampling import add_trial
from tunegate.experiments.storage import open_study
from tunegate.params import parse

SPACE = {"train.rank": {"values": [8, 16, 32]}, "train.learning_rate": {"low": 0.0001, "high": 0.1, "log": True}}
SEARCH = parse(Search, {"space": SPACE, "sampler": "random"}, place="", remedy="")


def opened(folder: Path, url: str) -> contextlib.AbstractContextManager[Any]:
    return open_study(SEARCH, "s", "c" * 40, folder, url)


def test_machines_that_choose_at_the_same_time_choose_different_trials(tmp_path: Path) -> None:
    start = threading.Barrier(3)

    def machine(number: int, url: str) -> None:
        with opened(tmp_path / str(number), url) as study:
            start.wait(60)
            for _ in range(4):
                add_trial(study, SEARCH, {}, {})

    with postgres() as address:
        url = address.replace("postgresql+psycopg", "postgresql")
        with opened(tmp_path, url) as study:
            with ThreadPoolExecutor(3) as machines:
                for done in [machines.submit(machine, number, url) for number in range(3)]:
                    done.result(120)
            trials = study.get_trials(deepcopy=False)
    assert [trial.number for trial in trials] == list(range(12))
    alone = optuna.create_study(direction="minimize")
    for _ in range(12):
        add_trial(alone, SEARCH, {}, {})
    assert [trial.params for trial in trials] == [trial.params for trial in alone.get_trials()]


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("postgresql://me:s3cret@db/x", "password in the URL"),
        ("mysql://me@db/x", "not the URL of a PostgreSQL database"),
    ],
)
def test_a_storage_with_a_password_in_its_url_or_of_another_kind_is_refused(
    tmp_path: Path, url: str, problem: str
) -> None:
    with pytest.raises(UsageError, match=problem) as caught, opened(tmp_path, url):
        pass
    assert "s3cret" not in str(caught.value)


def test_a_database_that_is_away_is_a_machine_error_without_its_url(tmp_path: Path) -> None:
    with (
        pytest.raises(MachineError, match=r"--storage 127\.0\.0\.1") as caught,
        opened(tmp_path, "postgresql://me@127.0.0.1:1/x"),
    ):
        pass
    assert "postgresql://" not in str(caught.value)
