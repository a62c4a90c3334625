import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tunegate.data.sources import json_records
from tunegate.data.sources.json_text import MAX_DEPTH
from tunegate.data.sources.locations import Located
from tunegate.data.sources.records import read_batches, read_records
from tunegate.data.sources.streams import MAX_RECORD
from tunegate.errors import InputError

Make = Callable[[str, str], Located]


@pytest.fixture
def located(tmp_path: Path) -> Make:
    def write(name: str, content: str) -> Located:
        (tmp_path / name).write_bytes(content.encode())
        return Located(tmp_path / name, name)

    return write


def nested(depth: int) -> str:
    return '{"text": ' + "[" * (depth - 1) + "]" * (depth - 1) + "}"


def test_an_array_gives_its_objects_with_the_lines_where_they_begin(located: Make) -> None:
    file = located("a.json", '\n[\n  {"text": "a]},"},\n  {"text": "b",\n   "n": [1, {}]}\n]\n')
    assert list(read_records(file)) == [("a.json:3", {"text": "a]},"}), ("a.json:4", {"text": "b", "n": [1, {}]})]


def test_an_array_longer_than_a_batch_is_whole(located: Make) -> None:
    rows = [{"n": number, "text": "å\u2028🙂" * 40} for number in range(10_000)]
    file = located("a.json", json.dumps(rows, ensure_ascii=False))
    batches = list(read_batches(file))
    assert len(batches) > 1
    assert [values for batch in batches for values in batch.values()] == rows


def test_numbers_of_any_size_are_kept(located: Make) -> None:
    (record,) = read_records(located("a.jsonl", f'{{"n": {2**70}, "e": 1e3}}\n'))
    assert record.values == {"n": 2**70, "e": 1000.0}


def test_a_character_written_in_two_halves_is_whole(located: Make) -> None:
    (record,) = read_records(located("a.jsonl", '{"text": "\\ud83d\\ude42"}'))
    assert record.values == {"text": "🙂"}


def test_depth_up_to_the_limit_is_read(located: Make) -> None:
    assert len(list(read_records(located("a.jsonl", nested(MAX_DEPTH))))) == 1


@pytest.mark.parametrize(
    ("name", "content", "place", "problem"),
    [
        ("a.jsonl", '{"n": 1}\n{"n": 1, "m": 0, "n": 2}\n', ":2", "the key 'n' appears twice, with the values 1 and 2"),
        ("a.json", '[{"m": {"n": 1, "n": "x"}}]', ":1", "the key 'n' appears twice, with the values 1 and 'x'"),
        ("a.jsonl", '{"n": 1}\n{"n": -Infinity}\n', ":2", "-Infinity is not JSON"),
        ("a.json", '[{"n": [NaN]}]', ":1", "NaN is not JSON"),
        (
            "a.jsonl",
            '{"a": 0, "b": 1, "c": 2, "c": 3, "a": 4}',
            ":1",
            "the key 'a' appears twice, with the values 0 and 4",
        ),
        ("a.jsonl", nested(MAX_DEPTH + 1), ":1", "nested more than 32 deep"),
        ("a.jsonl", nested(100_000), ":1", "nested more than 32 deep"),
        ("a.json", f"[{nested(100_000)}]", ":1", "nested more than 32 deep"),
        ("a.jsonl", '{"n": ' + "9" * 5000 + "}", ":1", "not valid JSON: Exceeds the limit"),
        ("a.jsonl", '{"n": ["\\ud83d!"]}', ":1", "half of a character: '\\ud83d' in "),
        ("a.json", '[{"\\uDC00": 1}]', ":1", "half of a character: '\\udc00' in "),
        ("a.json", '{"data": []}', ":1", "a JSON file must hold an array of objects (got '{\"data\": []}')"),
        ("a.json", '[{"n": 1},\n[2]]', ":2", "an element of the array must be a JSON object (got list)"),
        ("a.json", '[{"n": 1},\n{"n": ', ":2", "not valid JSON: Expecting value"),
        ("a.json", '[{"n": 1},\n{"n": 2}\n', ":3", "not valid JSON: the array is cut: it has no ']' at its end"),
        ("a.json", '[{"n": 1}\n{"n": 2}]', ":2", "not valid JSON: expected ',' or ']' (got '{\"n\": 2}]')"),
        ("a.json", '[{"n": 1},]', ":1", "not valid JSON: Expecting value"),
        ("a.json", '[{"n": 1}]\n[]', ":2", "not valid JSON: more after the array: '[]'"),
        ("a.json", "[]", "", "the file has no rows"),
        ("a.json", "\n", ":2", "a JSON file must hold an array of objects (got '')"),
    ],
)
def test_json_that_is_not_sound_is_refused_with_its_place(
    located: Make, name: str, content: str, place: str, problem: str
) -> None:
    with pytest.raises(InputError) as caught:
        list(read_records(located(name, content)))
    assert caught.value.place == f"{name}{place}"
    assert caught.value.problem.startswith(problem)
    assert caught.value.remedy


def test_an_array_that_is_too_large_to_be_read_as_a_whole_is_refused_and_json_lines_are_recommended(
    located: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_records, "MAX_ARRAY", 1000)
    assert len(list(read_records(located("a.json", json.dumps([{"n": 1}] * 90))))) == 90
    with pytest.raises(InputError) as error:
        list(read_records(located("a.json", json.dumps([{"n": 1}] * 200))))
    assert (error.value.place, error.value.problem) == ("a.json", "a JSON array of more than 1,000 characters")
    assert ".jsonl" in error.value.remedy


def test_an_element_of_ten_megabytes_is_refused(located: Make) -> None:
    with pytest.raises(InputError) as caught:
        list(read_records(located("a.json", '[{"n": 1},\n{"text": "' + "a" * 10_000_000 + '"}]')))
    assert caught.value.place == "a.json:2"
    assert caught.value.problem == f"an element of more than {MAX_RECORD:,} characters"
