"""How many rows each label has, in all and in each split: enough to learn and to test it, and how evenly.

Works in the tables of `row_tables` and `splits`; changes nothing.
"""

import math
from typing import TYPE_CHECKING, Any

from tunegate.data.preparation import secrets
from tunegate.data.preparation.personal_data.masking import Masker
from tunegate.data.preparation.splits import SPLITS
from tunegate.data.rows import Row
from tunegate.errors import InputError
from tunegate.params import PersonalData
from tunegate.text import listed, short

if TYPE_CHECKING:
    import duckdb

MOST_LABELS = 1_000
"""Labels that are listed with their splits."""
_FEW = 10
_LONGEST = 60
_RULES = Masker(PersonalData(action="mask"))


def check_labels(connection: "duckdb.DuckDBPyConnection", least: int, *, place: str) -> None:
    """Raise InputError when a label has fewer than `least` kept rows."""
    query = "SELECT label, count(*) FROM kept WHERE label IS NOT NULL GROUP BY label"
    total = connection.execute(f"SELECT count(*) FROM ({query})").fetchall()[0][0]  # noqa: S608
    few = connection.execute(f"{query} HAVING count(*) < ? ORDER BY label", [least]).fetchall()
    if few:
        shown = listed([f"{_shown(label)!r} ({count})" for label, count in few])
        problem = f"{len(few)} of {total} labels have fewer than {least} rows: {shown}"
        remedy = "add rows, merge the label into another, or lower the number"
        raise InputError(problem, place=f"{place}: prepare.min_rows_per_label", remedy=remedy)


def label_notes(connection: "duckdb.DuckDBPyConnection") -> dict[str, int | float]:
    """How many labels there are and how evenly rows are spread over them, for a ledger.

    `label_evenness` is the entropy of the labels' shares, divided by what it is for equal shares: 1 is even (Pielou
    1966).
    """
    query = """SELECT count(*), count(*) FILTER (train = 0 AND rows > train), coalesce(min(rows), 0),
        coalesce(max(rows), 0), coalesce(-sum(rows / total * ln(rows / total)), 0)
        FROM (SELECT *, sum(rows) OVER () AS total FROM labels)"""
    _count(connection)
    labels, unlearned, least, most, entropy = connection.execute(query).fetchall()[0]
    notes = {"labels": labels, "labels_not_in_train": unlearned}
    if not labels:
        return notes
    even = round(entropy / math.log(labels), 4) if labels > 1 else 1.0
    return notes | {"label_rows_least": least, "label_rows_most": most, "label_evenness": even}


def label_details(connection: "duckdb.DuckDBPyConnection") -> dict[str, Any]:
    """The rows of each label in each split, for the details of a ledger; those with the same shown name, together.

    None of more than MOST_LABELS labels, nor where there are about as many as rows: those are answers, not classes, and
    a ledger has no texts.
    """
    _count(connection)
    labels, rows = connection.execute("SELECT count(*), coalesce(sum(rows), 0) FROM labels").fetchall()[0]
    if labels > MOST_LABELS or (labels > _FEW and labels * 2 > rows):
        return {}
    details: dict[str, dict[str, int]] = {}
    for label, *row in connection.execute("SELECT label, train, valid, test FROM labels ORDER BY label").fetchall():
        counts = details.setdefault(_shown(label), dict.fromkeys(SPLITS, 0))
        for split, count in zip(SPLITS, row, strict=True):
            counts[split] += count
    return details


def _shown(label: str) -> str:
    """A label as logs and ledgers may have it: without what looks like personal data or a secret, and short."""
    hidden = secrets.treat(Row("", "", "", text=label, label=""), "mask")[0]
    text = _RULES.treat_text(hidden.text or "" if hidden else "")
    return short(text, _LONGEST + 1)


def _count(connection: "duckdb.DuckDBPyConnection") -> None:
    counts = ", ".join(f"count(*) FILTER (split = '{name}') AS {name}" for name in ("train", "valid", "test"))
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE labels AS
        SELECT label, count(*) AS rows, {counts} FROM placed WHERE label IS NOT NULL GROUP BY label"""  # noqa: S608
    )
