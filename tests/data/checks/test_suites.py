import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tunegate.data.checks.suites import checked_columns, load_suite
from tunegate.data.rows import Row
from tunegate.errors import InputError
from tunegate.files import write_text

GOOD = {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "text"}}
ROOT = Path(__file__).resolve().parents[3]


def fault(folder: Path, suite: Any, name: str = "mine") -> InputError:
    write_text(folder / "mine.json", suite if isinstance(suite, str) else json.dumps(suite))
    with pytest.raises(InputError) as caught:
        load_suite(folder, name)
    assert caught.value.remedy
    return caught.value


@pytest.mark.parametrize("path", sorted((ROOT / "data/expectations").glob("*.json")), ids=lambda path: path.stem)
def test_every_suite_of_the_project_is_sound(path: Path) -> None:
    assert load_suite(path.parent, path.stem).expectations


def test_severity_is_critical_unless_said(tmp_path: Path) -> None:
    write_text(tmp_path / "mine.json", json.dumps({"name": "mine", "expectations": [GOOD]}))
    assert load_suite(tmp_path, "mine").expectations[0].severity == "critical"


def test_a_missing_suite_is_named_with_the_nearest(tmp_path: Path) -> None:
    error = fault(tmp_path, {"name": "mine", "expectations": [GOOD]}, name="mime")
    assert error.place == str(tmp_path / "mime.json")
    assert error.problem == "no suite 'mime'; did you mean 'mine'?"
    assert error.remedy == "set validate.suite to one of mine"


@pytest.mark.parametrize(
    ("suite", "place", "problem"),
    [
        ({"name": "other", "expectations": [GOOD]}, ": name", "must be 'mine' (got 'other')"),
        ({"name": "mine", "expectations": []}, ": expectations", "at least 1 item"),
        ({"name": "mine", "expectations": [GOOD | {"id": "5f"}]}, ": expectations[0].id", "unknown key"),
        ({"name": "mine", "expectations": [GOOD | {"severty": "info"}]}, ": expectations[0].severty", "'severity'"),
        ({"name": "mine", "expectations": [GOOD | {"severity": "fatal"}]}, ": expectations[0].severity", "'fatal'"),
        ('{"name": "mine",', ":1:17", "not valid JSON"),
    ],
)
def test_a_fault_in_a_suite_is_named_with_its_place(tmp_path: Path, suite: Any, place: str, problem: str) -> None:
    error = fault(tmp_path, suite)
    assert error.place == f"{tmp_path / 'mine.json'}{place}"
    assert problem in error.problem


def test_the_checked_table_has_a_column_for_each_slice_and_the_last_turn_of_a_talk(row: Callable[..., Row]) -> None:
    said = [("user", "a?"), ("assistant", "b"), ("user", "c?"), ("assistant", "d")]
    messages = tuple({"role": role, "content": content} for role, content in said)
    rows = [row("1", slices={"language": "sv"}), row("2", text=None, label=None, messages=messages)]
    assert checked_columns(rows) == {
        "id": ["1", "2"],
        "group": ["1", "2"],
        "source": ["s", "s"],
        "text": ["Question 1?", "c?"],
        "answer": ["x", "d"],
        "label": ["x", None],
        "turns": [1, 2],
        "slices.language": ["sv", None],
    }
