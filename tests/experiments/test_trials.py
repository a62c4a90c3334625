from pathlib import Path

import pytest

from tunegate.errors import InputError
from tunegate.experiments.trials import Change, Trial, read_trial, sha256_of_table, write_trial
from tunegate.files import read_json, write_json

TRIAL = Trial(
    number=3,
    params={"train.rank": 16},
    diff={"train.rank": Change(before=8, after=16)},
    state="complete",
    values={"valid_loss": 0.5},
    course=(1.0, 0.5),
    seconds=2.5,
)


def test_a_record_is_read_as_it_was_written_and_none_is_none(tmp_path: Path) -> None:
    path = tmp_path / "trials/3.json"
    assert read_trial(path) is None
    write_trial(path, TRIAL)
    assert read_trial(path) == TRIAL


def test_a_damaged_record_is_refused_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "3.json"
    write_trial(path, TRIAL)
    write_json(path, read_json(path) | {"state": "running"})
    with pytest.raises(InputError, match="got 'running'") as caught:
        read_trial(path)
    assert caught.value.place == f"{path}: state"
    assert "delete" in caught.value.remedy


def test_a_tables_name_depends_on_what_was_chosen_and_measured_not_on_time_or_order() -> None:
    other = TRIAL.model_copy(update={"number": 4})
    table = sha256_of_table([TRIAL, other])
    slower = TRIAL.model_copy(update={"seconds": 9.0, "run": "r", "reason": "x", "metrics": {"cost.seconds": 1.0}})
    assert sha256_of_table([other, slower]) == table
    for change in ({"values": {"valid_loss": 0.6}}, {"course": (1.0,)}, {"state": "pruned"}, {"lineage": "l"}):
        assert sha256_of_table([TRIAL.model_copy(update=change), other]) != table
