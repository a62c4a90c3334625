from collections.abc import Callable
from typing import Any

from tunegate.data.rows import Row
from tunegate.params import PersonalData
from tunegate.tables import read_parquet


def test_every_table_is_sorted_by_id(row: Callable[..., Row], prepared: Callable[..., Any]) -> None:
    rows = [row(name, text=f"Who is {name}, a@firm.se?") for name in "dbca"] + [row("e", text="?"), row("A", text="!")]
    outcome = prepared(rows, min_characters=3, personal_data=PersonalData(action="mask"))
    tables = {name: read_parquet(outcome.folder / f"{name}.parquet") for name in ("train", "dropped", "changes")}
    ids = {name: table["id"].to_pylist() for name, table in tables.items()}
    assert ids == {"train": [*"abcd"], "dropped": ["A", "e"], "changes": [*"abcd"]}


def test_the_ledger_counts_the_rows_that_changed_and_not_the_changes(
    row: Callable[..., Row], prepared: Callable[..., Any]
) -> None:
    rows = [row("a", text="a@firm.se and b@firm.se"), row("b", text="c@firm.se"), row("c")]
    outcome = prepared(rows, personal_data=PersonalData(action="mask"))
    assert outcome.ledger["notes"]["masked: email"] == 2
    assert outcome.ledger["notes"]["split: train"] == 3
