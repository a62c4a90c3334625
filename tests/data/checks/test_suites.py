import json
from pathlib import Path
from typing import Any

import pytest

from tunegate.data.checks.suites import Suite, check_columns, load_suite
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


def regex(given: Any) -> dict[str, Any]:
    key = "regex_list" if isinstance(given, list) else "regex"
    kind = {"type": f"expect_column_values_to_match_{key}", "kwargs": {"column": "text", key: given}}
    return {"name": "mine", "expectations": [kind]}


def condition(given: Any) -> dict[str, Any]:
    return {"name": "mine", "expectations": [GOOD | {"kwargs": {"column": "text", "row_condition": given}}]}


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
        ({"name": "mine", "expectations": [GOOD | {"max_quarantined_share": 2}]}, "share", "less than or equal to 1"),
        ({"name": "mine", "expectations": [GOOD | {"max_quarantined_share": 0.1}]}, ": expectations[0]", "warning"),
        (
            {"name": "mine", "expectations": [GOOD | {"kwargs": {"column": "text", "mostly": float("nan")}}]},
            ": expectations[0].kwargs.mostly",
            "NaN",
        ),
        (regex("([a-z"), ": expectations[0].kwargs.regex", "not a regular expression"),
        (regex("(a+)+$"), ": expectations[0].kwargs.regex", "repeats what already repeats"),
        (regex(["a", "(b"]), ": expectations[0].kwargs.regex_list", "not a regular expression"),
        (condition("source == 'a'"), ": expectations[0].kwargs", "row_condition"),
        (condition({"type": "pass_through", "pass_through_filter": "a"}), ": expectations[0].kwargs", "row_condition"),
        (condition({"type": "and", "conditions": ["a"]}), ": expectations[0].kwargs", "row_condition"),
    ],
)
def test_a_fault_in_a_suite_is_named_with_its_place(tmp_path: Path, suite: Any, place: str, problem: str) -> None:
    error = fault(tmp_path, suite)
    assert error.place.startswith(str(tmp_path / "mine.json"))
    assert error.place.endswith(place)
    assert problem in error.problem


NULL = {"type": "nullity", "column": {"name": "slices.lang"}, "is_null": False}


@pytest.mark.parametrize(
    ("kind", "kwargs", "problem"),
    [
        ("expect_column_values_to_not_be_null", {"column": "txt"}, "no column 'txt'; did you mean 'text'?"),
        ("expect_compound_columns_to_be_unique", {"column_list": ["id", "slices.lang"]}, "no column 'slices.lang'"),
        ("expect_column_values_to_not_be_null", {"column": "text", "row_condition": NULL}, "no column 'slices.lang'"),
        ("expect_conversation_to_be_well_formed", {"column": "messges"}, "did you mean 'messages'?"),
    ],
)
def test_a_column_that_is_missing_is_named_with_the_nearest(kind: str, kwargs: dict[str, Any], problem: str) -> None:
    suite = Suite.model_validate({"name": "mine", "expectations": ({"type": kind, "kwargs": kwargs},)})
    with pytest.raises(InputError) as caught:
        check_columns(suite, ["id", "text", "messages"], "mine.json")
    assert caught.value.place == "mine.json: expectations[0].kwargs"
    assert problem in caught.value.problem
    assert caught.value.remedy == "the columns are id, text, messages"


@pytest.mark.parametrize(
    ("kind", "kwargs"),
    [
        ("expect_column_to_exist", {"column": "slices.language"}),
        ("expect_table_columns_to_match_set", {"column_set": ["id", "slices.language"]}),
    ],
)
def test_asking_for_a_column_that_is_missing_is_a_question_not_an_error(kind: str, kwargs: dict[str, Any]) -> None:
    suite = Suite.model_validate({"name": "mine", "expectations": ({"type": kind, "kwargs": kwargs},)})
    check_columns(suite, ["id", "text"], "mine.json")


def test_an_expectation_is_named_by_its_type_and_the_columns_it_judges() -> None:
    kinds = [("expect_conversation_to_be_well_formed", {}), ("a", {"column_list": ["id", "text"]}), ("b", {})]
    listed = tuple({"type": kind, "kwargs": kwargs} for kind, kwargs in kinds)
    suite = Suite.model_validate({"name": "mine", "expectations": listed})
    names = [expectation.name for expectation in suite.expectations]
    assert names == ["expect_conversation_to_be_well_formed(messages)", "a(id, text)", "b()"]
