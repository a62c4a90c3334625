"""Two versions of a project's data outputs, written by hand to the stages' contract, for tests of what compares them.

The change of `HEAD` adds 100 rows, edits 10, and plants 5 leaks, 3 duplicates and 4 rows with personal data (among the
100); one row is new in quarantine.
"""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
from miniature import Miniature

from tunegate.data.compute.database import connect
from tunegate.data.diff.result import DataDiff, Shift
from tunegate.data.diff.row_tables import load
from tunegate.data.diff.sides import OUTPUTS, Side
from tunegate.data.rows import PLACED_ROW, Row, table_of
from tunegate.files import read_yaml, write_json, write_yaml
from tunegate.tables import write_parquet

LABELS = ("roof", "heat", "noise", "water")
REASONED = PLACED_ROW.append(pa.field("reason", pa.string())).append(pa.field("other", pa.string()))
DROPPED = REASONED.append(pa.field("similarity", pa.float64()))
QUARANTINE = PLACED_ROW.append(pa.field("reasons", pa.list_(pa.string())))
CHANGES = pa.schema([("id", pa.string()), ("changes", pa.list_(pa.string()))])


class Left(NamedTuple):
    """A row that `prepare` left out."""

    row: Row
    reason: str
    other: str
    similarity: float | None = None


class Data(NamedTuple):
    """What the stages give."""

    rows: Sequence[Row]
    left: Sequence[Left] = ()
    changes: Sequence[tuple[str, list[str]]] = ()
    quarantined: Sequence[tuple[Row, list[str]]] = ()


def row(number: int, text: str = "", **values: Any) -> Row:
    """Row `number`: two of a group, in two languages."""
    words = f"question {number} about the {LABELS[number % 4]} of family {number * 7919 % 10007} in house {number * 31}"
    default = Row(
        id=f"row-{number:05d}",
        group=f"pair-{number // 2:05d}",
        source="desks",
        text=text or words,
        label=LABELS[number % 4],
        slices={"language": "en" if number % 2 else "sv"},
    )
    return replace(default, **values)


def split_of(one: Row) -> str:
    """The split of the row's group."""
    return ("test", "test", "valid")[number] if (number := int(one.group[-5:]) % 10) < 3 else "train"


BASE = Data([row(n) for n in range(400)])
EDITED = [row(n, f"{row(n).text} and the cellar too") for n in range(100, 110)]
PERSONAL = [row(n, f"question {n}: write to [EMAIL] about the {LABELS[n % 4]} of house {n}") for n in range(400, 404)]
_TEST = [r for r in BASE.rows if split_of(r) == "test"]
HEAD = Data(
    rows=[*(BASE.rows[:100]), *EDITED, *BASE.rows[110:], *PERSONAL, *(row(n) for n in range(404, 500))],
    left=[
        *(Left(row(600 + n, _TEST[n].text or ""), "question_also_in_test", _TEST[n].id, 1.0) for n in range(5)),
        *(Left(row(700 + n, row(n).text or ""), "near_duplicate", row(n).id, 0.93) for n in range(3)),
    ],
    changes=[(r.id, ["masked: email"]) for r in PERSONAL] + [("row-00001", ["repaired: encoding"])],
    quarantined=[(row(800, "?!"), ["expect_column_values_to_match_regex(text)"])],
)


def splits(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """The rows by split, as the stage assigns groups."""
    by_split: dict[str, list[Row]] = {"train": [], "valid": [], "test": []}
    for one in rows:
        by_split[split_of(one)].append(one)
    return by_split


def write(data: Data, folder: Path) -> None:
    """Write ingested, validated, prepared and tokens below `folder`."""
    left = [one.row for one in data.left]
    held = [one for one, _ in data.quarantined]
    whole = sorted([*data.rows, *left, *held], key=lambda one: one.id)
    write_parquet(folder / "ingested/rows.parquet", table_of(whole, PLACED_ROW))
    _ledger(folder / "ingested", "ingest", len(whole), {}, per_source={"desks": {"in": len(whole), "out": len(whole)}})
    passed = [one for one in whole if one.id not in {held_.id for held_ in held}]
    write_parquet(folder / "validated/rows.parquet", table_of(passed, PLACED_ROW))
    reasons = [reasons for _, reasons in data.quarantined]
    table = table_of(held, PLACED_ROW).append_column(
        QUARANTINE.field("reasons"), pa.array(reasons, QUARANTINE[-1].type)
    )
    write_parquet(folder / "validated/quarantine.parquet", table)
    _ledger(folder / "validated", "validate", len(whole), {"quarantine: letters": len(held)})
    for name, rows in splits(data.rows).items():
        write_parquet(folder / f"prepared/{name}.parquet", table_of(sorted(rows, key=lambda one: one.id)))
    columns = {"reason": [o.reason for o in data.left], "other": [o.other for o in data.left]}
    dropped = table_of(left, PLACED_ROW)
    for name, values in (columns | {"similarity": [o.similarity for o in data.left]}).items():
        dropped = dropped.append_column(DROPPED.field(name), pa.array(values, DROPPED.field(name).type))
    write_parquet(folder / "prepared/dropped.parquet", dropped)
    changed = [{"id": name, "changes": changes} for name, changes in data.changes]
    write_parquet(folder / "prepared/changes.parquet", pa.Table.from_pylist(changed, schema=CHANGES))
    counts = {reason: sum(o.reason == reason for o in data.left) for reason in sorted({o.reason for o in data.left})}
    _ledger(folder / "prepared", "prepare", len(passed), counts)
    notes = {"train_tokens_out": 20 * len(data.rows), "train_tokens_trained_share": 0.25}
    _ledger(folder / "tokens", "tokenize", len(data.rows), {}, notes=notes)


def side_at(folder: Path, data: Data) -> Side:
    """A side whose outputs are written below `folder`."""
    write(data, folder)
    folders = {output: folder / Path(output).name for output in OUTPUTS}
    hashes = {output: f"{folder.name}/{output}" for output in OUTPUTS}
    return Side(folder.name, folders, hashes, {"desks": "MIT"}, {})


@contextlib.contextmanager
def compared(folder: Path, before: Data, after: Data) -> Iterator[tuple[Any, Side, Side]]:
    """A work database in which the two are loaded, and their sides."""
    sides = side_at(folder / "base", before), side_at(folder / "head", after)
    (folder / "work").mkdir()
    with connect(folder / "work", 2**28) as connection:
        load(connection, *sides)
        yield connection, *sides


def _ledger(folder: Path, stage: str, rows: int, reasons: dict[str, int], **more: Any) -> None:
    counts = {reason: count for reason, count in reasons.items() if count}
    flow = {"in": rows, "out": rows - sum(counts.values())}
    write_json(folder / "ledger.json", {"stage": stage, "rows": flow, "reasons": counts, **more})


def empty(**changes: Any) -> DataDiff:
    """A comparison that found nothing."""
    lists = ("notes", "rows", "added", "removed", "edited", "moved", "shifts", "left_out", "expectations", "sources")
    values: dict[str, Any] = {name: [] for name in (*lists, "tokens")}
    values |= {name: {"count": 0, "pairs": []} for name in ("duplicates", "leaks_left_out", "leaks", "seen")}
    values |= {"base": "b" * 40, "head": "working tree", "same": False, "moved_count": 0}
    return DataDiff.model_validate(values | {"quarantine": None, "personal_data": None} | changes)


def shift(**changes: Any) -> Shift:
    """A small shift of labels."""
    values: dict[str, Any] = {"name": "label", "measure": "Cohen's w", "effect": 0.2, "low": 0.15, "high": 0.25}
    values |= {"small": 0.1, "large": 0.3, "verdict": "small", "rows": 100, "of": "all rows"}
    return Shift.model_validate(values | changes)


def put(miniature: Miniature, data: Data) -> None:
    """Say what the data stages of a miniature project give."""
    write(data, miniature.root / "inputs")
    pipeline = read_yaml(miniature.root / "dvc.yaml")
    for stage, folder in (("ingest", "ingested"), ("validate", "validated")):
        command = f"mkdir -p data && rm -rf data/{folder} && cp -r inputs/{folder} data/{folder}"
        outs = {"deps": [f"inputs/{folder}"], "outs": [f"data/{folder}"]}
        pipeline["stages"][stage] = {"cmd": command, **outs}
    write_yaml(miniature.root / "dvc.yaml", pipeline)
