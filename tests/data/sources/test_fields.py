import json
from typing import Any

import pytest

from tunegate.data.sources.fields import content_of, default_template
from tunegate.data.sources.json_records import JsonBatch
from tunegate.data.sources.row_declaration import RowTemplate
from tunegate.data.sources.text_records import TextBatch
from tunegate.data.sources.values import Columns
from tunegate.errors import InputError

TURNS = [{"role": "user", "content": "a?"}, {"role": "assistant", "content": "b"}]


def batch(*records: dict[str, Any]) -> JsonBatch:
    return JsonBatch("a.jsonl", range(1, len(records) + 1), list(records))


def content(*records: dict[str, Any], **row: Any) -> Any:
    template = RowTemplate.model_validate_json(json.dumps(row))
    return content_of(template, Columns(batch(*records), {}, "mine.row"))


@pytest.mark.parametrize(
    ("names", "form"),
    [
        (("messages", "chosen", "rejected", "prompt"), "preference"),
        (("messages", "text", "label"), "openai-chat"),
        (("text", "label", "rejected"), None),
    ],
)
def test_columns_speak_for_themselves_in_a_fixed_order(names: tuple[str, ...], form: str | None) -> None:
    template = default_template(batch(dict.fromkeys(names, "x")), "mine.row")
    assert (template.format, template.rejected) == (form, None)


def test_a_text_file_is_raw_text_and_a_column_text_alone_is_not_taken_for_it() -> None:
    template = default_template(TextBatch("a.txt", [1], ["a"]), "mine.row")
    assert (template.text is not None, template.label) == (True, None)
    with pytest.raises(InputError) as caught:
        default_template(batch({"text": "a"}), "mine.row")
    assert 'text without answers is `text: "{text}"` there' in caught.value.remedy


def test_raw_text_has_no_answers() -> None:
    fields = content({"t": "a"}, {"t": "b"}, text="{t}")
    assert (fields.texts, fields.labels, fields.answers, fields.rejected) == (["a", "b"], None, [None, None], None)


def test_an_optional_label_may_be_missing_empty_or_an_empty_list() -> None:
    label = {"from": "{l}", "optional": True}
    assert content(
        {"t": "a", "l": "x"}, {"t": "b", "l": None}, {"t": "c", "l": "  "}, text="{t}", label=label
    ).labels == [
        "x",
        None,
        None,
    ]
    assert content({"t": "a", "l": []}, {"t": "b", "l": ["x"]}, text="{t}", label=label).labels == [None, "x"]


def test_a_rejected_answer_stands_beside_a_label_or_a_conversation() -> None:
    fields = content({"t": "a", "l": "x", "r": "y"}, text="{t}", label="{l}", rejected="{r}")
    assert (fields.answers, fields.rejected) == (["x"], ["y"])
    fields = content({"m": TURNS, "r": "c"}, messages="{m}", rejected="{r}")
    assert (fields.answers, fields.rejected) == (["b"], ["c"])


def test_a_declared_rejected_answer_that_a_row_lacks_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        content({"m": TURNS, "r": "c"}, {"m": TURNS, "r": " "}, messages="{m}", rejected="{r}")
    assert (caught.value.place, caught.value.problem) == ("a.jsonl:2", "empty rejected")
