"""From validated rows to the three splits: the order of the steps, each in a module of its own.

What concerns one row alone is done batch by batch, wherever the engine runs; what needs all rows, in the work database.
Reads the validated rows batch by batch; writes the outputs of the stage to the folder that it is given.
"""

import itertools
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tunegate.data.compute.database import batches, budget, connect
from tunegate.data.compute.row_cache import key_of, reused
from tunegate.data.preparation.deduplication import drop_duplicates, drop_near_duplicates
from tunegate.data.preparation.frozen_test_set import FrozenRow, check_frozen
from tunegate.data.preparation.label_balance import check_labels
from tunegate.data.preparation.mixture import apply_mixture
from tunegate.data.preparation.outputs import doubtful_labels, ledger_of, write_tables
from tunegate.data.preparation.personal_data.masking import Masker
from tunegate.data.preparation.personal_data.tags import read_key
from tunegate.data.preparation.row_processing import Treatment
from tunegate.data.preparation.row_tables import load
from tunegate.data.preparation.splits import (
    Split,
    check_not_empty,
    drop_equal_questions,
    drop_near_questions,
    sizes,
    split_groups,
)
from tunegate.data.rows import PLACED_ROW
from tunegate.files import write_json
from tunegate.params import Compute, Prepare

if TYPE_CHECKING:
    import duckdb

WORK = "work"
"""The folder of the work database inside of the one that is written; gone when it is done."""


def prepare(
    rows: Iterable[Any],
    folder: Path,
    settings: Prepare,
    compute: Compute,
    *,
    frozen: tuple[FrozenRow, ...] = (),
    place: str = "params.yaml",
) -> dict[str, Any]:
    """Clean and split `rows`, batches of PLACED_ROW in the order of their sources; write all but the work to `folder`.

    `place` names the file of the parameters in errors. Returns the ledger. Raises InputError for a label with too few
    rows, a split without rows, a mixture that cannot be, and a frozen test set that is not there as it was.
    """
    key = read_key(os.environ)
    # Made here once, so that a key that does not fit is an error of this process, before any work.
    Masker(settings.personal_data, key)
    treatment = Treatment(settings, key)
    # Without a row, too, there are tables.
    none = treatment(pa.RecordBatch.from_pylist([], schema=PLACED_ROW))
    treated = itertools.chain([none], reused("prepare", key_of(settings.model_dump()), treatment, rows, compute))
    with connect(folder / WORK, budget(compute)) as connection:
        load(connection, treated, {row.id: number for number, row in enumerate(frozen)})
        _select(connection, settings, len(frozen), place)
        _split(connection, settings, len(frozen), place)
        write_tables(connection, folder)
        query = (
            "SELECT rows.* EXCLUDE (n, changes) FROM rows JOIN (SELECT n FROM placed WHERE split = 'test') USING (n)"
        )
        check_frozen(batches(connection, query), frozen, connection, place=place)
        if settings.label_noise:
            write_json(folder / "label_issues.json", doubtful_labels(connection, settings.split_key))
        ledger = ledger_of(connection)
    write_json(folder / "ledger.json", ledger)
    return ledger


def _select(connection: "duckdb.DuckDBPyConnection", settings: Prepare, frozen: int, place: str) -> None:
    """Drop rows that repeat others and rows of which there are too many."""
    if settings.deduplicate:
        drop_duplicates(connection, frozen=frozen)
    if settings.near_duplicates is not None:
        drop_near_duplicates(connection, settings.near_duplicates, frozen=frozen)
    apply_mixture(connection, settings.mixture, frozen=frozen, place=place)
    check_labels(connection, settings.min_rows_per_label, place=place)


def _split(connection: "duckdb.DuckDBPyConnection", settings: Prepare, frozen: int, place: str) -> None:
    """Place rows in splits and drop those whose question stands in a split that wins."""
    split_groups(connection, settings, frozen=frozen)
    drop_equal_questions(connection)
    if settings.near_duplicates is not None:
        drop_near_questions(connection, settings.near_duplicates)
    test, valid = settings.test_share, settings.valid_share
    groups = connection.execute('SELECT count(DISTINCT "group") FROM placed').fetchall()[0][0]
    shares: dict[Split, float] = {"train": 1 - test - valid, "valid": valid, "test": test}
    check_not_empty(sizes(connection), shares, groups=groups, place=place)
