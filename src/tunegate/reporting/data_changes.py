"""The data section of a report, as values that the templates lay out: tiles, shifts with their drawings, the forecast.

Takes a comparison by tunegate.data.diff and the two snapshots' records of time.
"""

import dataclasses
from collections.abc import Iterator

from tunegate.data.diff.compare import NEAR, compare_snapshots
from tunegate.data.diff.result import DataDiff, Forecast, Shift
from tunegate.files import read_json
from tunegate.reporting.charts import shift_plot
from tunegate.reporting.numbers import difference
from tunegate.repository.snapshot import Snapshot
from tunegate.tracking.forecast import TIMINGS, forecast, read_records

_LEDGERS = ("data/prepared", "data/tokens")


@dataclasses.dataclass(frozen=True)
class Tile:
    """One number that a reviewer looks at first."""

    name: str
    value: str
    note: str
    tone: str
    """`alarm` where somebody must look, `notice` where something is new, else empty."""


@dataclasses.dataclass(frozen=True)
class ShiftRow:
    """A shift as text and drawing."""

    shift: Shift
    effect: str
    bounds: str
    plot: str
    """SVG; empty where there are too few rows."""
    tone: str


@dataclasses.dataclass(frozen=True)
class DataView:
    """The section."""

    diff: DataDiff
    tiles: list[Tile]
    shifts: list[ShiftRow]


def diff_of(before: Snapshot | None, after: Snapshot, *, near: float = NEAR) -> DataDiff:
    """The difference of two commits' data, with what training will take."""
    return with_forecast(compare_snapshots(before, after, near=near), before, after)


def with_forecast(diff: DataDiff, before: Snapshot | None, after: Snapshot) -> DataDiff:
    """`diff` with what training took at the base and will take with the head's tokens, from the base's history."""
    ledgers = [after.output(path) / "ledger.json" for path in _LEDGERS if after.locked(path)]
    counted = {"stages": [read_json(path) for path in ledgers if path.is_file()]}
    revision = before.commit if before else None
    records = read_records(after.repository, revision) if revision else []
    costs = forecast(after.params.model_dump(by_alias=True), counted, records, ["train"])
    took = _recorded_seconds(before)
    if took is None and all(cost.seconds is None for cost in costs):
        return diff
    forecasts = [
        Forecast(
            stage=cost.stage,
            minutes_before=_minutes(took),
            minutes_after=_minutes(cost.seconds),
            hardware=cost.hardware,
        )
        for cost in costs
    ]
    return diff.model_copy(update={"forecast": forecasts})


def data_view(diff: DataDiff) -> DataView:
    """What the templates lay out."""
    return DataView(diff, list(_tiles(diff)), [_shift_row(shift) for shift in diff.shifts])


def _tiles(diff: DataDiff) -> Iterator[Tile]:
    rows = f"{diff.total('before'):,} → {diff.total('after'):,}"
    yield Tile("rows", difference(diff.total("before"), diff.total("after")) or "±0", rows, "")
    counts = {what: diff.total(what) for what in ("added", "removed", "edited")} | {"moved": diff.moved_count}
    for what, count in counts.items():
        note = "to another split" if what == "moved" else ""
        yield Tile(what, f"{count:,}", note, "notice" if count else "")
    leaks, left_out = diff.leaks.count + diff.seen.count, diff.leaks_left_out.count
    note = f"{left_out:,} more left out" if left_out else ""
    yield Tile("new leaks", f"{leaks:,}", note, "alarm" if leaks else "notice" if left_out else "")
    duplicates = diff.duplicates.count
    yield Tile("new duplicates", f"{duplicates:,}", "left out", "notice" if duplicates else "")
    if diff.personal_data:
        rows_with_it = diff.personal_data.new_rows
        yield Tile("personal data", f"{rows_with_it:,}", "new rows with it", "alarm" if rows_with_it else "")
    if diff.quarantine:
        new = diff.quarantine.after - diff.quarantine.before
        yield Tile(
            "quarantine", difference(0, new) or "±0", f"{diff.quarantine.after:,} rows", "alarm" if new > 0 else ""
        )


def _shift_row(shift: Shift) -> ShiftRow:
    if shift.effect is None or shift.low is None or shift.high is None:
        return ShiftRow(shift, "", "", "", "inconclusive")
    tones = {"none": "pass", "small": "warning", "large": "refused"}
    bounds = f"{shift.low:.2f} to {shift.high:.2f}"
    return ShiftRow(shift, f"{shift.effect:.2f}", bounds, shift_plot(shift), tones.get(shift.verdict, "inconclusive"))


def _recorded_seconds(before: Snapshot | None) -> float | None:
    recorded = before.json(TIMINGS) if before and before.text(TIMINGS) else {}
    train = recorded.get("train") if isinstance(recorded, dict) else None
    seconds = train.get("seconds") if isinstance(train, dict) else None
    return float(seconds) if isinstance(seconds, int | float) else None


def _minutes(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds / 60, 2)
