"""The ledger of a stage: how many rows came in, how many went out, and why the others did not.

Every stage that touches rows writes one beside its output; `combine` makes reports/data.json of them. A ledger whose
numbers do not add up cannot be made and cannot be read. Does not know what a reason means.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field, model_validator

from tunegate.errors import InputError
from tunegate.files import read_json
from tunegate.params import Closed, parse

Number = Annotated[int, Field(ge=0)]


class Flow(Closed):
    """Rows in and rows out."""

    model_config = ConfigDict(populate_by_name=True)

    in_: Number = Field(alias="in")
    """Rows that came in."""
    out: Number
    """Rows that went out."""


class Ledger(Closed):
    """What one stage did with its rows."""

    stage: str
    """The stage's name in dvc.yaml."""
    rows: Flow
    """All rows."""
    reasons: dict[str, Number] = Field(default={})
    """Why rows did not go out, and how many for each reason. A row has one reason."""
    per_source: dict[str, Flow] = Field(default={})
    """The same rows, source by source."""
    notes: dict[str, int | float] = Field(default={})
    """What else was counted: repairs, sizes of splits, tokens."""
    details: dict[str, Any] = Field(default={})
    """Keys of single rows, licences and checksums of files: for looking things up, not part of the report."""

    @model_validator(mode="after")
    def _adds_up(self) -> "Ledger":
        dropped = sum(self.reasons.values())
        if self.rows.in_ != self.rows.out + dropped:
            raise ValueError(f"balanced: {self.rows.in_} rows in, {self.rows.out} out, {dropped} with a reason")
        flows = self.per_source.values()
        totals = (sum(flow.in_ for flow in flows), sum(flow.out for flow in flows))
        if flows and totals != (self.rows.in_, self.rows.out):
            raise ValueError(f"the sum of per_source, which is {totals[0]} rows in and {totals[1]} out")
        return self


def make_ledger(
    stage: str,
    *,
    sources_in: Iterable[str],
    sources_out: Iterable[str],
    reasons: Mapping[str, int] | None = None,
    notes: Mapping[str, int | float] | None = None,
    details: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A ledger, ready to be written as JSON.

    `sources_in` and `sources_out` name the source of each row that came in and of each that went out. Raises
    InputError when rows are missing without a reason.
    """
    came, went = Counter(sources_in), Counter(sources_out)
    value = {
        "stage": stage,
        "rows": {"in": came.total(), "out": went.total()},
        "reasons": {reason: count for reason, count in (reasons or {}).items() if count},
        "per_source": {name: {"in": came[name], "out": went[name]} for name in came | went},
        "notes": dict(notes or {}),
        "details": dict(details or {}),
    }
    return _checked(value, f"ledger of {stage}").model_dump(by_alias=True)


def combine(ledgers: list[Path]) -> dict[str, Any]:
    """The ledgers, in the order of their stages, as one: each stage's counts, and the way from first to last row.

    A path is a ledger, or a stage's output folder with a ledger.json in it. Raises InputError when a stage did not
    get the rows that the one before it gave.
    """
    if not ledgers:
        raise InputError("no ledgers to combine", remedy="name the output folder of each stage")
    paths = [path / "ledger.json" if path.is_dir() else path for path in ledgers]
    read = [(path, _checked(read_json(path), str(path))) for path in paths]
    for (_, before), (path, after) in pairwise(read):
        if before.rows.out != after.rows.in_:
            problem = f"{after.stage} got {after.rows.in_} rows, but {before.stage} gave {before.rows.out}"
            raise InputError(problem, place=str(path), remedy="run `dvc repro`: the two are from different runs")
    first, last = read[0][1], read[-1][1]
    return {
        "rows": {"in": first.rows.in_, "out": last.rows.out},
        "stages": [ledger.model_dump(by_alias=True, exclude={"details"}) for _, ledger in read],
    }


def _checked(value: Any, place: str) -> Ledger:
    return parse(Ledger, value, place=place, remedy="every row that does not go out needs one reason")
