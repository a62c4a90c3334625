from dataclasses import replace
from pathlib import Path
from typing import Any

from data_change import Data, compared, row, side_at

from tunegate.data.compute.database import connect
from tunegate.data.diff.row_tables import load, scan
from tunegate.data.diff.sides import NOTHING

ROWS = [row(n) for n in range(12)]


def one(connection: Any, columns: str, name: str) -> tuple[Any, ...]:
    return tuple(connection.execute(f"SELECT {columns} FROM joined WHERE id = ?", [name]).fetchone())


def test_a_row_of_both_sides_is_one_of_joined_and_a_side_without_it_is_null(tmp_path: Path) -> None:
    with compared(tmp_path, Data(ROWS[:8]), Data(ROWS[4:])) as (connection, *_):
        sides = connection.execute("SELECT count(*), count(content_before), count(content_after) FROM joined")
        assert sides.fetchone() == (12, 8, 8)
        assert one(connection, "split_before, source_before, grp, edited", "row-00000") == (
            "test", "desks", "pair-00000", False,
        )  # fmt: skip
        assert one(connection, "split_after, label_after, asked_after", "row-00000") == (None, None, None)
        assert connection.execute("SELECT count(before), count(after) FROM ingested").fetchone() == (8, 8)


def test_any_field_but_the_split_makes_an_edit(tmp_path: Path) -> None:
    changes: list[dict[str, Any]] = [
        {"text": "new"}, {"label": "new"}, {"slices": {"language": "no"}}, {"source": "x"}, {"rejected": "no"}, {},
    ]  # fmt: skip
    after = [replace(ROWS[n], **values) for n, values in enumerate(changes)]
    with compared(tmp_path, Data(ROWS[:6]), Data(after)) as (connection, *_):
        rows = connection.execute("SELECT edited FROM joined ORDER BY id").fetchall()
    assert [edited for (edited,) in rows] == [True] * 5 + [False]


def test_questions_are_equal_without_case_and_white_space_and_an_empty_one_is_null(tmp_path: Path) -> None:
    texts = ["The  ROOF leaks", "the roof leaks", "the roof leaks!", " \t", ""]
    rows = [replace(ROWS[n], text=text) for n, text in enumerate(texts)]
    with compared(tmp_path, Data([]), Data(rows)) as (connection, *_):
        hashes = [h for (h,) in connection.execute("SELECT question_after FROM joined ORDER BY id").fetchall()]
    assert hashes[0] == hashes[1] is not None
    assert hashes[3:] == [None, None]


def test_a_conversation_is_its_last_question_and_the_hash_leaves_out_the_system_prompt(tmp_path: Path) -> None:
    def chat(number: int, system: str, answer: str) -> Any:
        roles = (("system", system), ("user", "What leaks?"), ("assistant", answer))
        turns = tuple({"role": role, "content": content} for role, content in roles)
        return replace(ROWS[number], text=None, label=None, messages=turns)

    with compared(tmp_path, Data([]), Data([chat(0, "be brief", "roof"), chat(1, "be kind", "the cellar")])) as found:
        connection = found[0]
        first, second = (
            one(connection, "question_after, asked_after, said_after, chat_after", f"row-0000{n}") for n in (0, 1)
        )
    assert first[0] == second[0]
    assert (first[1:], second[1:]) == ((11, 4, True), (11, 10, True))


def test_a_side_with_nothing_and_a_path_with_a_quotation_mark_can_be_loaded(tmp_path: Path) -> None:
    folder = tmp_path / "it's here"
    after = side_at(folder, Data(ROWS))
    with connect(tmp_path, 2**28) as connection:
        load(connection, NOTHING, after)
        assert connection.execute("SELECT count(*) FROM joined WHERE content_before IS NULL").fetchone() == (12,)
        query = f"SELECT count(*) FROM {scan(folder / 'ingested/rows.parquet')}"
        assert connection.execute(query).fetchone() == (12,)
