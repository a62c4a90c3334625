import datetime
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from servers import postgres

from tunegate.data.refresh.spool import Spool
from tunegate.errors import InputError, MachineError, RefusedError

from .conftest import Project

UTC = datetime.UTC


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres() as url:
        yield url


@pytest.fixture
def database(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A connection that commits by itself, to a database without tables whose URL is in HELPDESK_URL."""
    import psycopg

    monkeypatch.setenv("HELPDESK_URL", server)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public; SET TimeZone = 'UTC'")
        yield connection


TICKETS = {"sql": {"url_env": "HELPDESK_URL", "table": "tickets", "key": "id", "cursor": "changed"}}


def fill(database: Any, rows: int = 3) -> None:
    database.execute(
        "CREATE TABLE tickets (id int PRIMARY KEY, question text, desk text, price numeric(8, 2), open boolean, "
        "tags jsonb, changed timestamptz)"
    )
    database.execute(
        "INSERT INTO tickets SELECT n, 'Question ' || n, 'roof', n + 0.5, true, '{\"a\": [1]}', "
        "timestamptz '2026-01-01 00:00:00+00' + n * interval '1 hour' FROM generate_series(1, %s) n",
        [rows],
    )


def test_a_table_becomes_a_sorted_snapshot_with_types_and_a_record(project: Project, database: Any) -> None:
    fill(database)
    outcome = project.refresh(TICKETS)
    assert (outcome.changed, outcome.changes.added, outcome.changes.rows) == (True, 3, 3)
    assert project.rows()[0] == {
        "id": 1,
        "changed": datetime.datetime(2026, 1, 1, 1, tzinfo=UTC),
        "desk": "roof",
        "open": True,
        "price": "1.50",
        "question": "Question 1",
        "tags": '{"a": [1]}',
    }
    record = project.record()
    assert record["columns"] == {
        "id": "integer",
        "changed": "timestamp",
        "desk": "text",
        "open": "boolean",
        "price": "text",
        "question": "text",
        "tags": "json",
    }
    assert record["declared"] == TICKETS["sql"]
    assert record["cursor"] == {"type": "timestamp", "value": "2026-01-01T03:00:00+00:00"}
    assert sorted(path.name for path in project.raw.iterdir()) == [
        ".gitignore",
        "tickets.parquet",
        "tickets.parquet.dvc",
        "tickets.snapshot.json",
    ]


def test_nothing_is_written_when_the_table_did_not_change(project: Project, database: Any) -> None:
    fill(database)
    project.refresh(TICKETS)
    before = project.state()
    outcome = project.refresh(TICKETS)
    assert (outcome.changed, outcome.received) == (False, 1)
    assert project.refresh(TICKETS, full=True).changed is False
    assert project.state() == before


def test_only_what_is_new_is_read_ties_of_the_cursor_included_and_the_newest_row_wins(
    project: Project, database: Any
) -> None:
    fill(database)
    project.refresh(TICKETS)
    database.execute("UPDATE tickets SET desk = 'heat', changed = '2026-01-01 03:00:00+00' WHERE id = 1")
    database.execute("INSERT INTO tickets (id, question, changed) VALUES (9, 'New', '2026-01-02 00:00:00+00')")
    outcome = project.refresh(TICKETS)
    assert outcome.received == 3
    assert (outcome.changes.added, outcome.changes.edited, outcome.changes.removed) == (1, 1, 0)
    assert outcome.changes.examples == {"added": ["9"], "edited": ["1"]}
    assert [(row["id"], row["desk"]) for row in project.rows()] == [(1, "heat"), (2, "roof"), (3, "roof"), (9, None)]
    incremental = project.state()["tickets.parquet"][0]
    assert project.refresh(TICKETS, full=True).changed is False
    assert project.state()["tickets.parquet"][0] == incremental


def test_a_full_refresh_sees_what_was_deleted(project: Project, database: Any) -> None:
    fill(database)
    project.refresh(TICKETS)
    database.execute("DELETE FROM tickets WHERE id = 2")
    assert project.refresh(TICKETS).changed is False
    outcome = project.refresh(TICKETS, full=True)
    assert (outcome.changes.removed, outcome.changes.examples) == (1, {"removed": ["2"]})
    assert [row["id"] for row in project.rows()] == [1, 3]


def test_a_table_without_rows_deletes_nothing_unless_that_is_said(project: Project, database: Any) -> None:
    fill(database)
    project.refresh(TICKETS)
    before = project.state()
    database.execute("DELETE FROM tickets")
    for full in (False, True):
        with pytest.raises(RefusedError, match=r"tickets\.sql: the source has no rows, and had 3") as caught:
            project.refresh(TICKETS, full=full)
        assert "--allow-empty" in caught.value.remedy
    assert project.state() == before
    outcome = project.refresh(TICKETS, allow_empty=True)
    assert (outcome.changes.removed, project.rows(), project.record()["rows"]) == (3, [], 0)


def test_a_table_that_was_dropped_is_an_error_and_the_snapshot_stays(project: Project, database: Any) -> None:
    fill(database)
    project.refresh(TICKETS)
    before = project.state()
    database.execute("DROP TABLE tickets")
    with pytest.raises(InputError, match=r'tickets\.sql: .* relation "tickets" does not exist') as caught:
        project.refresh(TICKETS)
    assert "nothing was changed" in caught.value.remedy
    assert project.state() == before


def test_a_cursor_that_goes_back_is_an_error_that_full_reads_past(project: Project, database: Any) -> None:
    fill(database)
    project.refresh(TICKETS)
    database.execute("DELETE FROM tickets WHERE id = 3")
    with pytest.raises(
        InputError, match=r"is 2026-01-01 02:00:00\+00:00, the snapshot ends at 2026-01-01 03"
    ) as caught:
        project.refresh(TICKETS)
    assert "--full" in caught.value.remedy
    assert len(project.rows()) == 3
    assert project.refresh(TICKETS, full=True).changes.removed == 1


def test_a_column_that_is_gone_or_has_another_type_is_an_error(project: Project, database: Any) -> None:
    fill(database)
    project.refresh(TICKETS)
    before = project.state()
    database.execute("ALTER TABLE tickets RENAME COLUMN desk TO desks")
    with pytest.raises(InputError, match="column 'desk': the column is gone; did you mean 'desks'") as caught:
        project.refresh(TICKETS)
    assert "delete data/raw/tickets.snapshot.json" in caught.value.remedy
    database.execute("ALTER TABLE tickets RENAME COLUMN desks TO desk")
    database.execute("ALTER TABLE tickets ALTER COLUMN desk TYPE int USING 7")
    with pytest.raises(InputError, match="column 'desk': the column changed its type: it held text, now integer"):
        project.refresh(TICKETS)
    assert project.state() == before
    (project.raw / "tickets.snapshot.json").unlink()
    assert project.refresh(TICKETS).changed
    assert project.record()["columns"]["desk"] == "integer"


def test_a_time_without_a_zone_is_refused_until_one_is_declared(project: Project, database: Any) -> None:
    database.execute("CREATE TABLE tickets (id int, changed timestamp)")
    database.execute("INSERT INTO tickets VALUES (1, '2026-07-01 12:00:00')")
    with pytest.raises(InputError, match=r"id 1: changed: the time 2026-07-01 12:00:00 has no time zone") as caught:
        project.refresh(TICKETS)
    assert "time_zone" in caught.value.remedy
    zoned = {"sql": TICKETS["sql"] | {"time_zone": "Europe/Stockholm"}}
    project.refresh(zoned)
    assert project.rows()[0]["changed"] == datetime.datetime(2026, 7, 1, 10, tzinfo=UTC)
    database.execute("INSERT INTO tickets VALUES (2, '2026-07-01 12:00:01')")
    assert project.refresh(zoned).changes.added == 1


def test_a_query_with_a_composite_key_is_read_and_may_not_write(project: Project, database: Any) -> None:
    fill(database, 5)
    query = "SELECT id / 3 AS house, id % 3 AS flat, question || ' :x 12:30%' AS q, changed::text FROM tickets;"
    declared = {"sql": {"url_env": "HELPDESK_URL", "query": query, "key": ["house", "flat"]}}
    project.refresh(declared)
    assert [(row["house"], row["flat"]) for row in project.rows()] == [(0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    assert project.rows()[0]["q"] == "Question 1 :x 12:30%"
    writing = "WITH gone AS (DELETE FROM tickets RETURNING id) SELECT id FROM gone"
    for statement in (writing, "SELECT id FROM tickets) AS a; DELETE FROM tickets; --"):
        with pytest.raises((InputError, MachineError)):
            project.refresh({"sql": {"url_env": "HELPDESK_URL", "query": statement, "key": "id"}}, name="other")
    assert database.execute("SELECT count(*) FROM tickets").fetchone() == (5,)


def test_a_password_is_in_no_error_and_a_missing_one_is_named(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HELPDESK_URL", "postgresql://reader:s3cret@127.0.0.1:1/helpdesk")
    with pytest.raises(MachineError, match="cannot read the database") as caught:
        project.refresh(TICKETS)
    assert "s3cret" not in str(caught.value)
    monkeypatch.setenv("HELPDESK_URL", "reader:s3cret")
    with pytest.raises(InputError, match="not a URL of SQLAlchemy") as wrong:
        project.refresh(TICKETS)
    assert "s3cret" not in str(wrong.value)
    monkeypatch.delenv("HELPDESK_URL")
    with pytest.raises(InputError, match=r"tickets\.sql: the environment variable HELPDESK_URL is not set"):
        project.refresh(TICKETS)
    by_name = {"sql": {"url": "sqlite:///x.db", "password_env": "HELPDESK_PW", "table": "t", "key": "id"}}
    with pytest.raises(InputError, match="HELPDESK_PW is not set"):
        project.refresh(by_name)


def test_sqlite_is_opened_for_reading_only(project: Project) -> None:
    declared = {"sql": {"url": "sqlite:///help.db", "table": "tickets", "key": "id", "cursor": "id"}}
    with pytest.raises(MachineError, match="unable to open database file"):
        project.refresh(declared)
    assert not Path("help.db").exists()
    with sqlite3.connect("help.db") as connection:
        connection.execute("CREATE TABLE tickets (id INTEGER PRIMARY KEY, text TEXT)")
        connection.executemany("INSERT INTO tickets VALUES (?, ?)", [(n, f"Question {n}") for n in range(2500)])
    connection.close()
    assert project.refresh(declared).changes.rows == 2500
    assert project.refresh(declared).changed is False
    with pytest.raises(InputError, match="no such table: nothing"):
        project.refresh({"sql": declared["sql"] | {"table": "nothing"}}, name="other")


def test_values_of_two_kinds_in_one_column_are_an_error_that_names_the_row(project: Project) -> None:
    with sqlite3.connect("help.db") as connection:
        connection.execute("CREATE TABLE tickets (id, n)")
        connection.executemany("INSERT INTO tickets VALUES (?, ?)", [(1, 1), (2, "two"), (3, b"3")])
    connection.close()
    declared = {"sql": {"url": "sqlite:///help.db", "query": "SELECT * FROM tickets", "key": "id"}}
    with pytest.raises(InputError, match="id 2: n: the column 'n' has values of kind integer and of kind text"):
        project.refresh(declared)
    declared["sql"]["query"] = "SELECT * FROM tickets WHERE id = 3"
    with pytest.raises(InputError, match="id 3: n: a value of type bytes"):
        project.refresh(declared)
    declared["sql"] |= {"query": "SELECT *, NULL AS k FROM tickets WHERE id = 1", "key": "k"}
    with pytest.raises(InputError, match="without a value in the key column 'k'"):
        project.refresh(declared)


@pytest.mark.skipif("TUNEGATE_TEST_MYSQL_URL" not in os.environ, reason="needs a MySQL or MariaDB server")
def test_a_table_of_mysql_becomes_a_snapshot(project: Project) -> None:
    from sqlalchemy import create_engine, text

    with create_engine(os.environ["TUNEGATE_TEST_MYSQL_URL"]).begin() as connection:
        connection.execute(text("DROP TABLE IF EXISTS tickets"))
        connection.execute(text("CREATE TABLE tickets (id int PRIMARY KEY, question text, changed datetime(6))"))
        connection.execute(text("INSERT INTO tickets VALUES (1, 'One', '2026-01-01'), (2, 'Two', '2026-01-02')"))
    declared = TICKETS["sql"] | {"url_env": "TUNEGATE_TEST_MYSQL_URL", "time_zone": "UTC"}
    assert project.refresh({"sql": declared}).changes.added == 2
    assert project.refresh({"sql": declared}).changed is False


def sqlite(table: str, rows: list[tuple[object, ...]]) -> None:
    """The file help.db, anew, with one table of these rows; `table` is its name and columns."""
    Path("help.db").unlink(missing_ok=True)
    with sqlite3.connect("help.db") as connection:
        connection.execute(f"CREATE TABLE {table}")
        places = ", ".join("?" * len(rows[0]))
        connection.executemany(f"INSERT INTO {table.split(' (', maxsplit=1)[0]} VALUES ({places})", rows)
    connection.close()


IN_FILE = {"url": "sqlite:///help.db", "table": "tickets", "key": "id"}


def test_a_key_that_is_not_unique_is_refused_with_an_example(project: Project) -> None:
    sqlite("tickets (id, part, text)", [(1, 1, "a"), (2, 1, "b"), (2, 2, "c"), (3, 1, "d")])
    with pytest.raises(InputError, match=r"tickets\.sql\.key: not unique: two rows have the key '2'"):
        project.refresh({"sql": IN_FILE})
    assert project.refresh({"sql": IN_FILE | {"key": ["id", "part"]}}).changes.rows == 4


@pytest.mark.parametrize("twice", [False, True])
def test_a_refresh_that_goes_on_in_the_middle_of_equal_keys_skips_none(
    project: Project, monkeypatch: pytest.MonkeyPatch, twice: bool
) -> None:
    sqlite("tickets (id, text)", [(1, "a"), (2, "b"), (2 if twice else 3, "c"), (4, "d")])
    monkeypatch.setattr("tunegate.data.refresh.sql.STREAMED_ROWS", 1)
    monkeypatch.setattr("tunegate.data.refresh.spool.PAGE_ROWS", 2)
    add = Spool.add

    def stopped(spool: Spool, rows: list[Any], state: Any) -> None:
        add(spool, rows, state)
        if state is not None and spool.rows:
            raise KeyboardInterrupt

    monkeypatch.setattr(Spool, "add", stopped)
    with pytest.raises(KeyboardInterrupt):
        project.refresh({"sql": IN_FILE})
    monkeypatch.setattr(Spool, "add", add)
    if twice:
        with pytest.raises(InputError, match="not unique: two rows have the key '2'"):
            project.refresh({"sql": IN_FILE})
        return
    outcome = project.refresh({"sql": IN_FILE})
    assert (outcome.resumed, outcome.received, outcome.changes.rows) == (2, 4, 4)


def test_rows_without_a_cursor_are_read_each_time(project: Project) -> None:
    declaration = {"sql": IN_FILE | {"cursor": "changed"}}
    sqlite("tickets (id, changed)", [(1, 10), (2, None)])
    project.refresh(declaration)
    sqlite("tickets (id, changed)", [(1, 10), (2, None), (3, None)])
    assert project.refresh(declaration).changes.examples == {"added": ["3"]}
    sqlite("tickets (id, changed)", [(1, None), (2, None)])
    with pytest.raises(InputError, match="no row has a value in 'changed' any more, the snapshot ends at 10"):
        project.refresh(declaration, allow_empty=True)


def test_a_fault_of_the_query_is_no_matter_of_trying_again(project: Project) -> None:
    sqlite("tickets (id, text)", [(1, "a")])
    for query in ("SELEC id FROM tickets", "SELECT id, nothing FROM tickets", "SELECT id FROM tickets; SELECT 1"):
        with pytest.raises(InputError, match="the database refuses: "):
            project.refresh({"sql": {"url": "sqlite:///help.db", "query": query, "key": "id"}})
    with sqlite3.connect("help.db") as connection:
        connection.execute("BEGIN EXCLUSIVE")
        with pytest.raises(MachineError, match="database is locked"):
            project.refresh({"sql": IN_FILE | {"url": "sqlite:///help.db?timeout=0"}})
    connection.close()


def test_a_query_may_end_in_a_comment(project: Project) -> None:
    sqlite("tickets (id, text)", [(1, "a")])
    declared = {"url": "sqlite:///help.db", "query": "SELECT * FROM tickets -- all", "key": "id"}
    assert project.refresh({"sql": declared}).changes.rows == 1


def test_names_with_colons_quotes_and_percent_signs_are_names(project: Project, database: Any) -> None:
    database.execute('CREATE TABLE "a:b %s" ("the:id" int, "50%" int)')
    database.execute('INSERT INTO "a:b %s" VALUES (1, 2)', prepare=False)
    declared = {"url_env": "HELPDESK_URL", "table": "a:b %s", "key": "the:id", "cursor": "50%"}
    assert project.refresh({"sql": declared}).changes.rows == 1
    assert project.refresh({"sql": declared}).changed is False
    assert project.rows() == [{"the:id": 1, "50%": 2}]
