from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tunegate.data.checks.engine import Engine, make_expectations
from tunegate.data.checks.frames import frame_of
from tunegate.data.checks.suites import Suite
from tunegate.errors import InputError

LENGTHS = "expect_column_value_lengths_to_be_between"
ROWS = "expect_table_row_count_to_be_between"
TALK = "expect_conversation_to_be_well_formed"
TOKENS = "expect_text_to_have_no_control_tokens"
SuiteOf = Callable[..., Suite]


def frame(*texts: str | None, start: int = 0) -> Any:
    import pyarrow

    return frame_of({"text": pyarrow.array(texts, pyarrow.string())}, start, len(texts))


@pytest.mark.parametrize(
    ("kind", "kwargs", "severity", "place", "problem"),
    [
        (
            "expect_column_values_not_null",
            {"column": "text"},
            "info",
            ".type",
            "did you mean 'expect_column_values_to_not_be_null'?",
        ),
        (LENGTHS, {"column": "text"}, "info", ".kwargs", "min_value and max_value cannot both be None"),
        (LENGTHS, {"column": "text", "max_value": 1, "max": 2}, "info", ".kwargs", "max: extra fields not permitted"),
        (ROWS, {"min_value": 1}, "warning", ".severity", "judges the table as a whole"),
        (TALK, {"template": "chtml.jinja"}, "info", ".kwargs.template", "did you mean 'chatml.jinja'?"),
        (TALK, {"template": "../templates/chatml.jinja"}, "info", ".kwargs.template", "no chat template"),
        (TOKENS, {"tokens": []}, "info", ".kwargs", "tokens: name at least one token"),
        (TOKENS, {}, "info", ".kwargs", "tokens: field required"),
    ],
)
def test_an_expectation_that_cannot_be_made_is_an_error(
    suite_of: SuiteOf, templates: Path, kind: str, kwargs: dict[str, Any], severity: str, place: str, problem: str
) -> None:
    with pytest.raises(InputError) as caught:
        make_expectations(suite_of((kind, kwargs, severity)), "mine.json", templates)
    assert caught.value.place == f"mine.json: expectations[0]{place}"
    assert problem in caught.value.problem
    assert caught.value.remedy


def test_a_file_that_is_no_template_is_an_error_at_its_line(suite_of: SuiteOf, tmp_path: Path) -> None:
    (tmp_path / "broken.jinja").write_text("{{ messages }}\n{% for %}")
    with pytest.raises(InputError, match="not a template") as caught:
        make_expectations(suite_of((TALK, {"template": "broken.jinja"}, "info")), "mine.json", tmp_path)
    assert caught.value.place == f"{tmp_path / 'broken.jinja'}:2"


@pytest.mark.parametrize(
    ("kind", "kwargs"),
    [
        ("expect_column_mean_to_be_between", {"column": "text", "min_value": 1}),
        ("expect_column_values_to_match_like_pattern", {"column": "text", "like_pattern": "a%"}),
    ],
)
def test_an_expectation_that_cannot_be_evaluated_is_an_error(
    suite_of: SuiteOf, templates: Path, kind: str, kwargs: dict[str, Any]
) -> None:
    made = make_expectations(suite_of((kind, kwargs, "info")), "mine.json", templates)
    with pytest.raises(InputError, match="cannot be evaluated") as caught:
        Engine().run(made, frame("a", "b"), "mine.json")
    assert caught.value.place == "mine.json: expectations[0]"


def test_one_engine_evaluates_one_table_after_the_other(suite_of: SuiteOf, templates: Path) -> None:
    made = make_expectations(suite_of((LENGTHS, {"column": "text", "max_value": 1}, "info")), "mine.json", templates)
    engine = Engine()
    found = [engine.run(made, frame("a", long, None, start=7), "mine.json")[0] for long in ("bb", "b")]
    assert [result.result["unexpected_index_list"] for result in found] == [[8], []]
