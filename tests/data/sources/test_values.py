from typing import Any

import pytest

from tunegate.data.sources.json_records import JsonBatch
from tunegate.data.sources.row_declaration import Label, Value
from tunegate.data.sources.values import Columns, Kinds
from tunegate.errors import InputError


def columns(*records: dict[str, Any], kinds: Kinds | None = None, file: str = "a.jsonl") -> Columns:
    batch = JsonBatch(file, range(1, len(records) + 1), list(records))
    return Columns(batch, {} if kinds is None else kinds, "data/sources.yaml: mine.row")


def value(template: str, **more: Any) -> Value:
    return Value.model_validate({"from": template} | more)


def fault(act: Any) -> InputError:
    with pytest.raises(InputError) as caught:
        act()
    assert caught.value.remedy
    return caught.value


def test_columns_are_replaced_by_their_values_in_every_record() -> None:
    batch_columns = columns(
        {"id": 7, "Customer question": "Why?", "sure": True}, {"id": 8, "Customer question": None, "sure": False}
    )
    assert batch_columns.filled(value("%s{id}-{Customer question} {sure} 100% {{x}}")) == [
        "%s7-Why? true 100% {x}",
        None,
    ]
    assert batch_columns.filled(value("{Customer question}")) == ["Why?", None]
    assert batch_columns.filled(value("{{en}}")) == ["{en}", "{en}"]


def test_a_regex_takes_the_part_in_parentheses() -> None:
    batch_columns = columns({"url": "/desks/roof/7"}, {"url": "/7"}, {"url": None})
    assert batch_columns.filled(value("{url}", regex="desks/([a-z]+)/")) == ["roof", None, None]


def test_a_regex_that_finds_nothing_where_a_value_must_be_shows_what_it_saw() -> None:
    batch_columns = columns({"url": "/desks/roof/7"}, {"url": "/7"})
    error = fault(lambda: batch_columns.required("label", value("{url}", regex="desks/([a-z]+)/")))
    assert error.place == "a.jsonl:2"
    assert error.problem.startswith("empty label")
    assert error.problem.endswith("'/7'")
    assert "mine.row" in error.remedy


def test_language_tags_get_one_form_and_what_is_none_is_refused() -> None:
    tag = value("{locale}", **{"as": "language"})
    assert columns({"locale": "sv_se"}, {"locale": None}, {"locale": "EN"}).filled(tag) == ["sv-SE", None, "en"]
    error = fault(lambda: columns({"locale": "sv"}, {"locale": "Swedish"}).filled(tag))
    assert (error.place, error.problem) == ("a.jsonl:2", "not a language tag: 'Swedish'")


def test_a_column_that_some_record_lacks_is_named_with_the_columns_of_that_record() -> None:
    error = fault(lambda: columns({"text": "a"}, {"txt": "b"}).filled(value("{text}")))
    assert (error.place, error.problem) == ("a.jsonl:2", "no column 'text'; did you mean 'txt'?")
    assert error.remedy == "data/sources.yaml: mine.row needs it; the columns here are txt"


@pytest.mark.parametrize(
    ("one", "other", "problem"),
    [
        (7, 7.0, "holds a fraction (got 7.0), but a whole number at a.jsonl:1"),
        ("7", 7, "holds a whole number (got 7), but a text at a.jsonl:1"),
        (1, True, "holds a truth value (got True), but a whole number at a.jsonl:1"),
        ("a", ["a"], "holds a list (got ['a']), but a text at a.jsonl:1"),
        ("a", {"a": 1}, "holds a dict (got {'a': 1}), but a text at a.jsonl:1"),
    ],
)
def test_a_column_that_changes_its_kind_is_refused_with_both_places(one: object, other: object, problem: str) -> None:
    kinds: Kinds = {}
    columns({"x": one}, {"x": None}, kinds=kinds).raw("x")
    error = fault(lambda: columns({"x": None}, {"x": one}, {"x": other}, kinds=kinds, file="b.jsonl").raw("x"))
    assert (error.place, error.problem) == ("b.jsonl:3", f"column 'x' {problem}")


def test_a_column_that_need_not_be_there_is_empty_without_it() -> None:
    assert columns({"input": "a"}, {}).optional("input") == ["a", None]


def label(**more: Any) -> Label:
    return Label.model_validate({"from": "{tags}"} | more)


def test_labels_in_a_list_are_joined_in_their_order() -> None:
    labels = columns({"tags": ["roof", "heating"]}, {"tags": [7]}).labels(label())
    assert labels == ["roof;heating", "7"]


@pytest.mark.parametrize("wrong", ["a;b", "", " ", None])
def test_a_label_that_could_not_be_told_from_two_is_refused(wrong: object) -> None:
    error = fault(lambda: columns({"tags": ["a"]}, {"tags": ["a", wrong]}).labels(label()))
    assert (error.place, error.problem[:40]) == ("a.jsonl:2", "column 'tags' has a label that is empty "[:40])
    error = fault(lambda: columns({"tags": ["a"]}, {"tags": ["a", ["b"]]}).labels(label()))
    assert (error.place, error.problem) == ("a.jsonl:2", "column 'tags' must hold a text or a number (got list)")


def test_a_list_is_joined_for_a_label_alone() -> None:
    batch_columns = columns({"tags": ["a", "b"]})
    batch_columns.labels(label())
    assert "must hold a text or a number" in fault(lambda: batch_columns.filled(value("{tags}"))).problem


def test_no_label_is_refused_unless_it_is_optional() -> None:
    batch_columns = columns({"tags": ["a"]}, {"tags": []})
    assert fault(lambda: batch_columns.labels(label())).problem == "empty label: the row has no answer"
    assert batch_columns.labels(label(optional=True)) == ["a", None]
