from collections.abc import Callable

from tunegate.data.compute.database import open_database
from tunegate.data.preparation.row_processing import Treatment
from tunegate.data.preparation.row_tables import drop_sketches_of_dropped, load
from tunegate.data.rows import PLACED_ROW, Row, table_of
from tunegate.params import Prepare


def test_rows_are_numbered_in_their_order_after_those_of_a_frozen_test_set(row: Callable[..., Row]) -> None:
    rows = [row("a"), row("frozen"), row("too-short", text="?"), row("b")]
    batches = table_of(rows, PLACED_ROW).to_batches(max_chunksize=2)
    treatment = Treatment(Prepare(min_characters=3))
    with open_database() as connection:
        load(connection, map(treatment, batches), {"frozen": 0})
        assert connection.sql("SELECT n, id FROM rows ORDER BY n").fetchall() == [
            (0, "frozen"), (1, "a"), (3, "too-short"), (4, "b")
        ]  # fmt: skip
        assert connection.sql("SELECT n, reason FROM dropped").fetchall() == [(3, "too_short")]
        assert connection.sql("SELECT id FROM kept ORDER BY n").fetchall() == [("frozen",), ("a",), ("b",)]
        connection.execute("INSERT INTO dropped VALUES (4, 'duplicate', 'a', NULL)")
        drop_sketches_of_dropped(connection)
        assert connection.sql("SELECT n FROM sketches ORDER BY n").fetchall() == [(0,), (1,)]
