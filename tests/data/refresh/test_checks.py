"""Whole numbers and numbers with a fraction in one column, through a whole refresh."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tunegate.errors import InputError

from .conftest import Project

BUCKET = Path("bucket")


def put(values: list[Any], name: str = "a") -> dict[str, Any]:
    """A file with one row for each value, and the declaration of its folder."""
    BUCKET.mkdir(exist_ok=True)
    lines = [json.dumps({"n": value, "text": "x"}) + "\n" for value in values]
    (BUCKET / f"{name}.jsonl").write_text("".join(lines))
    return {"object": {"url": f"file://{BUCKET.resolve()}/*.jsonl"}}


def test_one_number_does_not_make_the_whole_numbers_of_a_snapshot_numbers(project: Project) -> None:
    project.refresh(put([7, 8]))
    before = project.state()
    with pytest.raises(InputError, match="column 'n': the column changed its type: it held integer, now number"):
        project.refresh(put([1.5], "b"))
    assert project.state() == before


def test_whole_numbers_come_into_a_column_of_numbers_as_numbers(project: Project) -> None:
    project.refresh(put([1, 1.5]))
    project.refresh(put([2], "b"))
    assert [row["n"] for row in project.rows()] == [1.0, 1.5, 2.0]


@pytest.mark.parametrize("files", [[[2**53 + 1, 0.5]], [[2**53 + 1], [0.5]], [[0.5], [2**53 + 1]]])
def test_a_whole_number_that_a_number_cannot_hold_is_refused(project: Project, files: list[list[Any]]) -> None:
    declared = [put(values, str(number)) for number, values in enumerate(files)][-1]
    with pytest.raises(
        InputError, match="column 'n': numbers with a fraction, and whole numbers too large to be kept as such"
    ):
        project.refresh(declared)
    assert not (project.raw / "tickets.parquet").exists()


def test_a_whole_number_too_large_for_the_numbers_of_the_snapshot_is_refused(project: Project) -> None:
    project.refresh(put([0.5]))
    with pytest.raises(
        InputError, match="column 'n': numbers with a fraction, and whole numbers too large to be kept as such"
    ):
        project.refresh(put([2**53 + 1], "b"))
    project.refresh(put([2**53], "b"))
    assert project.rows()[1]["n"] == 2.0**53


def test_whole_numbers_of_a_key_or_cursor_never_become_numbers(project: Project) -> None:
    for column in ("id", "at"):
        Path("help.db").unlink(missing_ok=True)
        with sqlite3.connect("help.db") as connection:
            connection.execute("CREATE TABLE tickets (id, at)")
            connection.executemany(
                "INSERT INTO tickets VALUES (?, ?)", [(1, 1), (2.5, 2) if column == "id" else (2, 2.5)]
            )
        connection.close()
        declared = {"url": "sqlite:///help.db", "table": "tickets", "key": "id", "cursor": "at"}
        with pytest.raises(InputError, match=f"the column '{column}' has values of kind integer and of kind number"):
            project.refresh({"sql": declared})
