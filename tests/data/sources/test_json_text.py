import pytest

from tunegate.data.sources.json_text import MAX_DEPTH, checked_record, parse_strict
from tunegate.errors import InputError


def test_what_is_not_json_is_refused_with_its_column() -> None:
    with pytest.raises(InputError, match="not valid JSON") as caught:
        parse_strict('{"a": }', "a.jsonl:3")
    assert caught.value.place == "a.jsonl:3:7"


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ('{"n": 1, "n": 2}', "one of the two"),
        ("[NaN]", "a number, or null"),
        ("[" * 100_000, "flat values"),
        ("9" * 5000, "correct or drop"),
    ],
)
def test_each_thing_that_is_refused_has_its_own_remedy(text: str, remedy: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_strict(text, "a.jsonl:3")
    assert caught.value.place == "a.jsonl:3"
    assert remedy in caught.value.remedy


def test_brackets_inside_of_a_text_are_not_depth() -> None:
    text = '{"text": "' + "[{" * MAX_DEPTH + '"}'
    value = parse_strict(text, "a.jsonl:1")
    assert checked_record(value, text, "a.jsonl:1", "a line") is value


def test_what_is_no_object_is_named_as_the_caller_names_it() -> None:
    with pytest.raises(InputError, match=r"a turn must be a JSON object \(got list\)") as caught:
        checked_record([], "[]", "a.jsonl:1", "a turn")
    assert caught.value.place == "a.jsonl:1"
