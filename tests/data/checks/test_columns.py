from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from tunegate.data.checks import columns as columns_module
from tunegate.data.checks.columns import as_json, chunks, column_names, digests
from tunegate.data.rows import Row

Make = Callable[..., Row]
Store = Callable[[list[Row]], Path]


@pytest.fixture
def path(row: Make, stored: Store) -> Path:
    said = [("user", "a?"), ("assistant", "b"), ("user", "c?"), ("assistant", "d")]
    messages = tuple({"role": role, "content": content} for role, content in said)
    silent = ({"role": "system", "content": "“å”\n"}, {"role": "assistant", "content": "e"})
    return stored(
        [
            row("1", slices={"language": "sv"}),
            row("2", text=None, label=None, messages=messages),
            row("3", text=None, label=None, messages=silent, slices={"desk": "roof"}, rejected="f"),
            row("4", label=None),
            row("5", text=None, label=None, messages=()),
        ]
    )


def test_the_checked_table_has_a_column_for_each_slice_and_the_last_turn_of_a_talk(path: Path) -> None:
    names = column_names(path)
    assert names[-2:] == ["slices.desk", "slices.language"]
    (chunk,) = chunks(path, names)
    assert {name: values.to_pylist() for name, values in chunk.columns.items()} == {
        "id": ["1", "2", "3", "4", "5"],
        "group": ["1", "2", "3", "4", "5"],
        "source": ["s"] * 5,
        "text": ["Question 1?", "c?", "", "Question 4?", ""],
        "answer": ["x", "d", "e", None, ""],
        "label": ["x", None, None, None, None],
        "rejected": [None, None, "f", None, None],
        "turns": [1, 2, 0, 1, 0],
        "messages": [
            None,
            '[{"role":"user","content":"a?"},{"role":"assistant","content":"b"},'
            '{"role":"user","content":"c?"},{"role":"assistant","content":"d"}]',
            '[{"role":"system","content":"“å”\\n"},{"role":"assistant","content":"e"}]',
            None,
            "[]",
        ],
        "slices.desk": [None, None, "roof", None, None],
        "slices.language": ["sv", None, None, None, None],
    }


def test_rows_come_in_chunks_that_know_their_first_row(path: Path) -> None:
    found = list(chunks(path, ["text", "answer"], rows=2))
    assert [(chunk.start, chunk.rows) for chunk in found] == [(0, 2), (2, 2), (4, 1)]
    assert [chunk.columns["answer"].to_pylist() for chunk in found] == [["x", "d"], ["e", None], [""]]


def test_long_rows_make_small_chunks(row: Make, stored: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns_module, "CHUNK_BYTES", 3000)
    monkeypatch.setattr(columns_module, "BATCH_ROWS", 1)
    path = stored([row(str(n), text="long" * 250) for n in range(5)])
    assert [chunk.rows for chunk in chunks(path, ["text"])] == [2, 2, 1]


def test_digests_are_equal_for_equal_values_alone_and_null_for_null() -> None:
    one, two, null, again = digests(pa.array(["a", "b", None, "a"])).to_pylist()
    assert one == again
    assert len({one, two, null}) == 3
    assert null is None


def test_json_of_a_value_is_text_and_of_null_is_null() -> None:
    assert as_json(pa.array([{"a": 'x "y"'}, None])).to_pylist() == ['{"a":"x \\"y\\""}', None]
