"""From validated rows to the three splits: repair, drop duplicates, check the labels, part.

Reads and writes nothing. Knows the order of the steps and what each does to the count of rows.
"""

from collections import Counter
from typing import Any, NamedTuple

from tunegate.data.ledger import make_ledger
from tunegate.data.nearest import listed
from tunegate.data.preparing.cleaning import comparable, repair_row
from tunegate.data.preparing.splits import Split, check_not_empty, split_rows
from tunegate.data.rows import Row
from tunegate.errors import InputError
from tunegate.params import Prepare


class Prepared(NamedTuple):
    """The rows of each split, sorted by id, and the stage's ledger."""

    splits: dict[Split, list[Row]]
    ledger: dict[str, Any]


def prepare(rows: list[Row], wanted: Prepare, *, place: str) -> Prepared:
    """Clean and split `rows`. `place` names the file of the parameters in errors.

    Raises InputError for a label with too few rows and for a split without rows.
    """
    repairs: Counter[str] = Counter()
    dropped: dict[str, str] = {}
    kept = _repaired(rows, repairs, dropped) if wanted.repair_text else rows
    duplicates: dict[str, str] = {}
    kept = _unique(kept, duplicates) if wanted.deduplicate else kept
    _check_labels(kept, wanted.min_rows_per_label, place)
    splits, left_out = split_rows(
        kept, key=wanted.split_key, valid_share=wanted.valid_share, test_share=wanted.test_share
    )
    test, valid = wanted.test_share, wanted.valid_share
    check_not_empty(splits, {"train": 1 - test - valid, "valid": valid, "test": test}, place)
    splits = {name: sorted(split, key=lambda row: row.id) for name, split in splits.items()}
    dropped |= dict.fromkeys(duplicates, "duplicate") | left_out
    return Prepared(splits, _ledger(rows, splits, repairs, dropped, duplicates))


def _repaired(rows: list[Row], repairs: Counter[str], dropped: dict[str, str]) -> list[Row]:
    kept = []
    for row in rows:
        mended, names = repair_row(row)
        repairs.update(f"repaired: {name}" for name in names)
        if mended.last_turn and mended.answer:
            kept.append(mended)
        else:
            dropped[row.id] = "empty_after_repair"
    return kept


def _unique(rows: list[Row], duplicates: dict[str, str]) -> list[Row]:
    first: dict[tuple[str, str], str] = {}
    kept = []
    for row in rows:
        original = first.setdefault((comparable(row.question), comparable(row.answer)), row.id)
        if original == row.id:
            kept.append(row)
        else:
            duplicates[row.id] = original
    return kept


def _check_labels(rows: list[Row], least: int, place: str) -> None:
    counts = Counter(row.label for row in rows if row.label is not None)
    few = sorted((label, count) for label, count in counts.items() if count < least)
    if few:
        shown = listed([f"{label!r} ({count})" for label, count in few])
        problem = f"{len(few)} of {len(counts)} labels have fewer than {least} rows: {shown}"
        remedy = "add rows, merge the label into another, or lower the number"
        raise InputError(problem, place=f"{place}: prepare.min_rows_per_label", remedy=remedy)


def _ledger(
    rows: list[Row],
    splits: dict[Split, list[Row]],
    repairs: Counter[str],
    dropped: dict[str, str],
    duplicates: dict[str, str],
) -> dict[str, Any]:
    labels = {name: {row.label for row in split if row.label is not None} for name, split in splits.items()}
    notes = dict(repairs) | {f"split: {name}": len(split) for name, split in splits.items()}
    notes["labels"] = len(set().union(*labels.values()))
    notes["labels_not_in_train"] = len((labels["valid"] | labels["test"]) - labels["train"])
    others = {key: reason for key, reason in dropped.items() if key not in duplicates}
    return make_ledger(
        "prepare",
        sources_in=[row.source for row in rows],
        sources_out=[row.source for split in splits.values() for row in split],
        reasons=Counter(dropped.values()),
        notes=notes,
        details={"duplicates": duplicates, "dropped": others},
    )
