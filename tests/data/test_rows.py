from collections.abc import Callable

import duckdb

from tunegate.data.rows import (
    ANSWER_SQL,
    DIALOGUE_SQL,
    LAST_TURN_SQL,
    PLACED_ROW,
    ROW,
    Row,
    dialogue_of,
    rows_of,
    table_of,
    with_texts,
)

MESSAGES = ({"role": "user", "content": "å?"}, {"role": "assistant", "content": "b"})


def test_rows_survive_a_table(row: Callable[..., Row]) -> None:
    rows = [
        row("1", slices={"b": "2", "a": "1"}, rejected="y"),
        row("2", text=None, label=None, messages=MESSAGES),
        row("3", label=None),
    ]
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
    assert (talk.prompt, talk.answer, talk.last_turn) == ('[{"content": "\\u00e5?", "role": "user"}]', "b", "å?")


def test_sql_and_python_agree_on_last_turn_answer_and_dialogue(row: Callable[..., Row]) -> None:
    system, follow_up = {"role": "system", "content": "Be kind"}, {"role": "user", "content": "c\n?"}
    answer = {"role": "assistant", "content": "d"}
    rows = [
        row("1"),
        row("2", text="", label=None),
        *(
            row(str(n), text=None, label=None, messages=turns)
            for n, turns in enumerate(
                (MESSAGES, (system, *MESSAGES), (system, *MESSAGES, follow_up, answer), (system, answer)), 3
            )
        ),
    ]
    columns = f"{LAST_TURN_SQL}, {ANSWER_SQL}, {DIALOGUE_SQL}"
    with duckdb.connect() as connection:
        connection.register("given", table_of(rows))
        from_sql = connection.execute(f"SELECT {columns} FROM given").fetchall()
    assert from_sql == [(one.last_turn, one.answer, dialogue_of(one.text, one.messages)) for one in rows]
    assert from_sql[4] == ("c\n?", "d", "å?\nb\nc\n?")


def test_rows_that_an_older_version_wrote_have_no_rejected_answer(row: Callable[..., Row]) -> None:
    assert rows_of(table_of([row("1", rejected="y")]).drop_columns(["rejected"]))[0].rejected is None


def test_a_change_of_texts_reaches_every_text_of_a_row_and_nothing_else(row: Callable[..., Row]) -> None:
    def loud(text: str) -> str:
        return text.upper()

    assert with_texts(row("a", label="x", rejected="y"), loud) == row("a", text="QUESTION A?", label="X", rejected="Y")
    talk = with_texts(row("a", text=None, label=None, messages=MESSAGES, rejected="y"), loud)
    assert (talk.last_turn, talk.answer, talk.rejected, talk.label) == ("Å?", "B", "Y", None)


def test_raw_text_is_not_answered_and_its_answer_is_empty(row: Callable[..., Row]) -> None:
    raw, talk = row("1", label=None), row("2", text=None, label=None, messages=MESSAGES)
    assert [(one.is_answered, one.answer) for one in (raw, talk, row("3"))] == [(False, ""), (True, "b"), (True, "x")]
