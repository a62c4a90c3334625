"""data/tokens/row_outcomes.parquet: where every ingested row went, one line each, with its tokens.

Makes the lines of batches of rows whose tokens were counted, and adds them up for the ledger.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tunegate.data.ledger.stage_ledger import RowOutcome, make_ledger
from tunegate.data.rows import ROW

ROW_OUTCOMES = pa.schema(
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
"""The columns of a row that make its tokens and its outcome."""

CUT = "cut"
"""Why tokens of a kept row are gone: an outcome of no rows."""

STAGES = ("ingest", "validate", "prepare", "tokenize")
"""The stages in which rows leave, in running order."""
LAST = STAGES[-1]


def outcomes_of(batch: Any, *, stage: str, split: str | None = None) -> Any:
    """A batch of ROW_OUTCOMES of rows with `tokens`.

    Rows with a `reason`, or `reasons` of which the first counts, left in `stage`; the others are in `split`.
    """
    names, rows = batch.schema.names, batch.num_rows
    reason = batch["reason"] if "reason" in names else pa.nulls(rows, pa.string())
    if "reasons" in names:
        reason = pc.binary_join_element_wise("quarantine: ", pc.list_element(batch["reasons"], 0), "")
    splits = pc.if_else(reason.is_null(), pa.scalar(split, pa.string()), pa.scalar(None, pa.string()))
    columns = {name: batch[name] for name in names} | {
        "reason": reason,
        "split": splits,
        "stage": pa.repeat(stage, rows),
    }
    defaults = {name: pa.repeat(pa.scalar(0, pa.int32()), rows) for name in ("trained", "cut")}
    defaults["other"] = pa.nulls(rows, pa.string())
    return pa.RecordBatch.from_arrays([(defaults | columns)[name] for name in ROW_OUTCOMES.names], schema=ROW_OUTCOMES)


class OutcomeCounts:
    """Rows and tokens of each outcome."""

    def __init__(self) -> None:
        self._rows = Counter[tuple[Any, ...]]()
        self._tokens = Counter[tuple[Any, ...]]()
        self._cut = Counter[tuple[str, str]]()

    def add(self, batch: Any) -> Any:
        """Count a batch of ROW_OUTCOMES; returns it."""
        keys = ["source", "stage", "split", "reason"]
        aggregations: list[Any] = [("tokens", "sum"), ("cut", "sum"), ([], "count_all")]
        grouped = pa.Table.from_batches([batch]).group_by(keys, use_threads=False).aggregate(aggregations)
        for sums in grouped.to_pylist():
            key = tuple(sums[name] for name in keys)
            self._rows[key] += sums["count_all"]
            self._tokens[key] += sums["tokens_sum"]
            if sums["cut_sum"]:
                self._cut[sums["source"], sums["split"]] += sums["cut_sum"]
        return batch

    def outcomes(self) -> list[RowOutcome]:
        """All outcomes, in the order of the stages, then by source, reason and split."""
        outcomes = [_outcome(key, rows, self._tokens[key]) for key, rows in self._rows.items()]
        outcomes += [_outcome((source, LAST, split, CUT), 0, cut) for (source, split), cut in self._cut.items()]
        return sorted(outcomes, key=lambda o: (STAGES.index(o.stage), o.source, o.reason or "", o.split or ""))

    def rows_in(self, split: str) -> int:
        """The rows that are in a split."""
        return sum(rows for (_, _, place, _), rows in self._rows.items() if place == split)

    def ledger(self, notes: Mapping[str, int | float]) -> dict[str, Any]:
        """The ledger of the last stage, with the outcomes of the rows of all."""
        entered, kept = Counter[str](), Counter[str]()
        dropped: dict[str, Counter[str]] = {}
        for (source, stage, _, reason), rows in self._rows.items():
            if stage == LAST:
                entered[source] += rows
                (kept if reason is None else dropped.setdefault(source, Counter()))[reason or source] += rows
        ledger = make_ledger(LAST, sources_in=entered, sources_out=kept, dropped=dropped, notes=notes)
        return ledger | {"outcomes": [outcome.model_dump() for outcome in self.outcomes()]}


def _outcome(key: tuple[Any, ...], rows: int, tokens: int) -> RowOutcome:
    source, stage, split, reason = key
    return RowOutcome(source=source, stage=stage, split=split, reason=reason, rows=rows, tokens=tokens)
