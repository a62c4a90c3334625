"""The trajectory: one line per optimizer step, as a DVC plot, and its summary. No times: equal runs, equal bytes.

What a run cost is apart from them, in numbers that differ each time.
"""

import csv
import io
from collections.abc import Sequence
from typing import Any

from tunegate.models.cost import TrainCost
from tunegate.models.resources import Meter
from tunegate.training.checkpoint import Progress
from tunegate.training.selection import best_of

COLUMNS = ("step", "epoch", "loss", "valid_loss", "grad_norm", "learning_rate", "tokens")
"""What every technique records; its own columns come after them."""


def to_csv(records: list[dict[str, Any]], notes: Sequence[str]) -> str:
    """The records as CSV; valid_loss is empty where it was not measured."""
    buffer, columns = io.StringIO(), (*COLUMNS, *notes)
    writer = csv.DictWriter(buffer, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: "" if record[key] is None else record[key] for key in columns} for record in records)
    return buffer.getvalue()


def summary(records: list[dict[str, Any]], rows: int, select: str) -> dict[str, Any]:
    """What the run was, in numbers: steps, rows, tokens seen, units (trained tokens, rows or pairs), the losses of the
    last step, and the step whose weights are kept.
    """
    last = records[-1]
    kept = records[best_of(records)] if select == "best" else last
    valid = [record["valid_loss"] for record in records if record["valid_loss"] is not None]
    return {
        "steps": last["step"],
        "epochs": last["epoch"],
        "rows": rows,
        "tokens": sum(record["tokens"] for record in records),
        "units": sum(record["units"] for record in records),
        "loss": last["loss"],
        "valid_loss": valid[-1] if valid else None,
        "kept_step": kept["step"],
        "kept_valid_loss": kept["valid_loss"],
    }


def cost_of(progress: Progress, meter: Meter, hardware: str) -> TrainCost:
    """What the run cost, the parts before a resume included; `meter` measured its last part."""
    return TrainCost(
        hardware=hardware,
        seconds=round(progress.seconds, 3),
        peak_memory_bytes=meter.peak_memory_bytes,
        tokens=sum(record["tokens"] for record in progress.records),
        steps=progress.step,
        resumed=progress.resumed,
    )
