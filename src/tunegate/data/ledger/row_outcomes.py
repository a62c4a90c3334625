"""data/tokens/fates.parquet: where every ingested row went, one line each, with its tokens.

Makes the lines of batches of rows whose tokens were counted, and adds them up for the ledger. Reads and writes
nothing; does not know how tokens are counted.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tunegate.data.ledger.stage_ledger import Fate, make_ledger
from tunegate.data.rows import ROW

FATES = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("stage", pa.string(), nullable=False),
        ("split", pa.string()),
        ("reason", pa.string()),
        ("other", pa.string()),
        pa.field("tokens", pa.int32(), nullable=False),
        pa.field("trained", pa.int32(), nullable=False),
        pa.field("cut", pa.int32(), nullable=False),
    ]
)
"""stage: where the row left, or `tokenize` when it was kept. split: where it is; nothing when it left. reason: why it
left. other: the row it met. tokens: of the row as it was when it left, or as it is trained on or tested; trained:
those of them with a loss; cut: those that were cut off before."""

TEXTS = [name for name in ROW.names if name in ("id", "source", "messages", "text", "label", "rejected")]
"""The columns of a row that make its tokens and its fate."""

CUT = "cut"
"""Why tokens of a kept row are gone: a fate of no rows."""

STAGES = ("ingest", "validate", "prepare", "tokenize")
"""The stages in which rows leave, in running order."""
LAST = STAGES[-1]


def fates_of(batch: Any, *, stage: str, split: str | None = None) -> Any:
    """A batch of FATES of rows with `tokens`.

    Rows with a `reason`, or `reasons` of which the first counts, left in `stage`; the others are in `split`.
    """
    names, rows = batch.schema.names, batch.num_rows
    reason = batch["reason"] if "reason" in names else pa.nulls(rows, pa.string())
    if "reasons" in names:
        reason = pc.binary_join_element_wise("quarantine: ", pc.list_element(batch["reasons"], 0), "")
    held = pc.if_else(reason.is_null(), pa.scalar(split, pa.string()), pa.scalar(None, pa.string()))
    known = {name: batch[name] for name in names} | {"reason": reason, "split": held, "stage": pa.repeat(stage, rows)}
    unknown = {name: pa.repeat(pa.scalar(0, pa.int32()), rows) for name in ("trained", "cut")}
    unknown["other"] = pa.nulls(rows, pa.string())
    return pa.RecordBatch.from_arrays([(unknown | known)[name] for name in FATES.names], schema=FATES)


class Tally:
    """Rows and tokens of each fate."""

    def __init__(self) -> None:
        self._rows = Counter[tuple[Any, ...]]()
        self._tokens = Counter[tuple[Any, ...]]()
        self._cut = Counter[tuple[str, str]]()

    def add(self, batch: Any) -> Any:
        """Count a batch of FATES; returns it."""
        keys = ["source", "stage", "split", "reason"]
        wanted: list[Any] = [("tokens", "sum"), ("cut", "sum"), ([], "count_all")]
        grouped = pa.Table.from_batches([batch]).group_by(keys, use_threads=False).aggregate(wanted)
        for found in grouped.to_pylist():
            key = tuple(found[name] for name in keys)
            self._rows[key] += found["count_all"]
            self._tokens[key] += found["tokens_sum"]
            if found["cut_sum"]:
                self._cut[found["source"], found["split"]] += found["cut_sum"]
        return batch

    def fates(self) -> list[Fate]:
        """All fates, in the order of the stages, then by source, reason and split."""
        found = [_fate(key, rows, self._tokens[key]) for key, rows in self._rows.items()]
        found += [_fate((source, LAST, split, CUT), 0, cut) for (source, split), cut in self._cut.items()]
        return sorted(found, key=lambda f: (STAGES.index(f.stage), f.source, f.reason or "", f.split or ""))

    def rows_in(self, split: str) -> int:
        """The rows that are in a split."""
        return sum(rows for (_, _, where, _), rows in self._rows.items() if where == split)

    def ledger(self, notes: Mapping[str, int | float]) -> dict[str, Any]:
        """The ledger of the last stage, with the fates of the rows of all."""
        came, kept = Counter[str](), Counter[str]()
        dropped: dict[str, Counter[str]] = {}
        for (source, stage, _, reason), rows in self._rows.items():
            if stage == LAST:
                came[source] += rows
                (kept if reason is None else dropped.setdefault(source, Counter()))[reason or source] += rows
        ledger = make_ledger(LAST, sources_in=came, sources_out=kept, dropped=dropped, notes=notes)
        return ledger | {"fates": [fate.model_dump() for fate in self.fates()]}


def _fate(key: tuple[Any, ...], rows: int, tokens: int) -> Fate:
    source, stage, split, reason = key
    return Fate(source=source, stage=stage, split=split, reason=reason, rows=rows, tokens=tokens)
