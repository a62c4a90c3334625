from collections.abc import Callable

from tunegate.data.rows import PLACED_ROW, ROW, Row, rows_of, table_of

MESSAGES = ({"role": "user", "content": "å?"}, {"role": "assistant", "content": "b"})


def test_rows_survive_a_table(row: Callable[..., Row]) -> None:
    rows = [row("1", slices={"b": "2", "a": "1"}), row("2", text=None, label=None, messages=MESSAGES)]
    assert rows_of(table_of(rows, PLACED_ROW)) == rows


def test_a_prepared_table_says_nothing_of_places(row: Callable[..., Row]) -> None:
    table = table_of([row("1")])
    assert table.schema.equals(ROW)
    assert rows_of(table)[0].place == ""


def test_the_order_of_slices_does_not_change_the_table(row: Callable[..., Row]) -> None:
    one, other = row("1", slices={"a": "1", "b": "2"}), row("1", slices={"b": "2", "a": "1"})
    assert table_of([one]).equals(table_of([other]))


def test_question_and_answer_of_a_conversation(row: Callable[..., Row]) -> None:
    talk = row("1", text=None, label=None, messages=MESSAGES)
    assert (talk.question, talk.answer, talk.last_turn) == ('[{"content": "\\u00e5?", "role": "user"}]', "b", "å?")
