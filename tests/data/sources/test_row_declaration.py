import json
from collections.abc import Callable
from typing import Any

import pytest

from tunegate.data.sources.row_declaration import RowTemplate, conversation_column
from tunegate.errors import TunegateError

Refusal = Callable[..., TunegateError]


@pytest.mark.parametrize(
    ("row", "place", "problem"),
    [
        (
            {"format": "alpacca"},
            ".format",
            "'alpaca', 'sharegpt', 'openai-chat' or 'preference'",
        ),
        ({"format": "alpaca", "messages": "{m}"}, "", "or text and label, or format"),
        ({"text": 3, "label": "x"}, ".text", "a text like '{column}', or from with regex or as"),
        ({"text": {"from": "{q}", "regx": "(a)"}, "label": "x"}, ".text.regx", "'regex'"),
        ({"slices": {"a": {"from": "{q}", "regex": "a"}}}, ".slices.a.regex", "one group"),
        ({"slices": {"a": {"from": "{q}", "as": "date"}}}, ".slices.a.as", "'language'"),
        ({"label": "{q}"}, "", "label together with text"),
        ({"text": "{q}", "rejected": "{r}"}, "", "rejected together with text and label, or"),
        ({"format": "alpaca", "rejected": "{r}"}, "", "rejected together with text and label"),
        (
            {"text": "{q}", "label": {"from": "{a}", "optional": True}, "rejected": "{r}"},
            "",
            "rejected beside a label that is not optional",
        ),
        ({"text": {"from": "{q}", "optional": True}}, ".text.optional", "unknown key"),
        ({"text": "{q", "label": "x"}, ".text", "expected '}'"),
        ({"text": "{q!r}", "label": "x"}, ".text", "plain name"),
        ({"text": "{}", "label": "x"}, ".text", "plain name"),
        ({"text": "q", "label": "x", "messages": "{m}"}, "", "either messages, or text"),
        ({"text": "question"}, "", "text with a column in braces, such as '{question}'"),
        ({"messages": "m"}, ".messages", "'{column}'"),
        ({"slice": {"a": "b"}}, ".slice", "did you mean 'slices'"),
    ],
)
def test_a_fault_in_a_row_is_named_with_its_key(
    refusal: Refusal, row: dict[str, Any], place: str, problem: str
) -> None:
    error = refusal({"name": "mine", "path": "data/raw/x.csv", "row": row})
    assert error.place.startswith(f"data/sources.yaml: sources[0].row{place}")
    assert problem in error.problem
    assert "docs/data.md" in error.remedy


def test_a_template_may_be_written_alone_or_with_what_is_taken_of_it() -> None:
    alone = RowTemplate.model_validate_json('{"text": "{q}", "label": "{d}"}')
    long = RowTemplate.model_validate_json('{"text": {"from": "{q}"}, "label": {"from": "{d}"}}')
    assert alone == long


@pytest.mark.parametrize(
    ("row", "is_conversation", "is_complete", "column"),
    [
        ({}, False, False, None),
        ({"text": "{q}"}, False, True, None),
        ({"format": "alpaca"}, True, True, None),
        ({"messages": "{turns}"}, True, True, "turns"),
        ({"messages": [{"role": "user", "content": "{q}"}]}, True, True, None),
    ],
)
def test_a_template_says_what_rows_it_makes(
    row: dict[str, Any], is_conversation: bool, is_complete: bool, column: str | None
) -> None:
    template = RowTemplate.model_validate_json(json.dumps(row))
    assert (template.is_conversation, template.is_complete) == (is_conversation, is_complete)
    assert conversation_column(template) == column
