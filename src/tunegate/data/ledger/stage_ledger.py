"""The ledger of a stage: how many rows came in, how many went out, and why the others did not, source by source.

Every stage that touches rows writes one beside its output; `combine` makes reports/data.json of them. A ledger whose
numbers do not add up cannot be made and cannot be read. It counts only: the rows themselves are in the Parquet files.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field, model_validator

from tunegate.errors import InputError
from tunegate.files import read_json
from tunegate.params import Closed, parse

Number = Annotated[int, Field(ge=0)]
Dropped = Mapping[str, Mapping[str, int]]
"""Source to reason to rows."""

KEPT = "kept"
"""What is written where a reason would stand, of rows that have none."""

PSEUDO_LABELS_FILE = "pseudo_labels.parquet"
"""The rows that `train` gave an answer of the model's own, beside its ledger in the adapter's folder."""

_STAGES = {"ingested": "ingest", "validated": "validate", "prepared": "prepare", "tokens": "tokenize"}
_ONE_RUN = "run `dvc repro`: the two are from different runs"


class Flow(Closed):
    """What came in and what went out."""

    model_config = ConfigDict(populate_by_name=True)

    in_: Number = Field(alias="in")
    """What came in."""
    out: Number
    """What went out."""


class SourceFlow(Flow):
    """The rows of one source."""

    reasons: dict[str, Number] = Field(default={})
    """Why rows of it did not go out."""

    @model_validator(mode="after")
    def _adds_up(self) -> "SourceFlow":
        dropped = sum(self.reasons.values())
        if self.in_ != self.out + dropped:
            raise ValueError(f"balanced: {self.in_} rows in, {self.out} out, {dropped} with a reason")
        return self


class RowOutcome(Closed):
    """Rows of one source with one outcome: where they left and why, or, without a reason, the split they are in."""

    source: str
    stage: str
    """The stage in which they left; `tokenize` where they were kept."""
    split: str | None = None
    reason: str | None = None
    rows: Number
    tokens: Number | None = None
    """Tokens of the rows as they were when they left. Tokens that were cut off have an outcome of no rows."""


class Ledger(Closed):
    """What one stage did with its rows."""

    stage: str
    """The stage's name in dvc.yaml."""
    rows: Flow
    """All rows."""
    reasons: dict[str, Number] = Field(default={})
    """Why rows did not go out, and how many for each reason. A row has one reason."""
    per_source: dict[str, SourceFlow] = Field(default={})
    """The same rows, source by source."""
    outcomes: tuple[RowOutcome, ...] = ()
    """Where the rows of all stages left, with their tokens: only the last stage, which has a tokenizer, knows."""
    notes: dict[str, int | float] = Field(default={})
    """What else was counted: repairs, sizes of splits, tokens."""
    details: dict[str, Any] = Field(default={})
    """Licences and checksums of files: for looking things up, not part of the report."""

    @model_validator(mode="after")
    def _adds_up(self) -> "Ledger":
        dropped = sum(self.reasons.values())
        if self.rows.in_ != self.rows.out + dropped:
            raise ValueError(f"balanced: {self.rows.in_} rows in, {self.rows.out} out, {dropped} with a reason")
        flows = self.per_source.values()
        totals = (sum(flow.in_ for flow in flows), sum(flow.out for flow in flows))
        if flows and totals != (self.rows.in_, self.rows.out):
            raise ValueError(f"the sum of per_source, which is {totals[0]} rows in and {totals[1]} out")
        by_source = sum((Counter(flow.reasons) for flow in flows), Counter[str]())
        if by_source and by_source != Counter({reason: count for reason, count in self.reasons.items() if count}):
            raise ValueError(f"the sum of per_source, whose reasons are {dict(sorted(by_source.items()))}")
        return self


def make_ledger(
    stage: str,
    *,
    sources_in: Iterable[str] | Mapping[str, int],
    sources_out: Iterable[str] | Mapping[str, int],
    dropped: Dropped | None = None,
    notes: Mapping[str, int | float] | None = None,
    details: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A ledger, ready to be written as JSON.

    `sources_in` and `sources_out` are the rows of each source that came in and went out, counted, or the source of
    each. `dropped` says for each source why rows did not go out.

    Raises InputError when rows are missing without a reason.
    """
    entered, left = Counter(sources_in), Counter(sources_out)
    reasons = {source: {why: rows for why, rows in by.items() if rows} for source, by in (dropped or {}).items()}
    total = sum(map(Counter, reasons.values()), Counter[str]())
    value = {
        "stage": stage,
        "rows": {"in": entered.total(), "out": left.total()},
        "reasons": dict(total),
        "per_source": {
            name: {"in": entered[name], "out": left[name], "reasons": reasons.get(name, {})} for name in entered | left
        },
        "notes": dict(notes or {}),
        "details": dict(details or {}),
    }
    return _checked(value, f"ledger of {stage}").model_dump(by_alias=True)


def read_ledger(path: Path) -> Ledger:
    """The ledger in a file, or in ledger.json of a stage's output folder.

    Raises InputError when there is none, and when it does not add up.
    """
    file = path / "ledger.json" if path.suffix != ".json" else path
    if not file.is_file():
        stage = _STAGES.get(file.parent.name, "")
        raise InputError(
            "no such ledger", place=str(file), remedy=f"run `dvc repro {stage}".rstrip() + "`, or `dvc pull`"
        )
    return _checked(read_json(file), str(file))


def combine(paths: Sequence[Path]) -> dict[str, Any]:
    """The ledgers, in the order of their stages, as one: the counts of each stage and of all of them.

    A path is a ledger, or a stage's output folder with a ledger.json in it. Tokens are given where the last ledger
    has the outcome of every row. Raises InputError when two ledgers are not of one run.
    """
    if not paths:
        raise InputError("no ledgers to combine", remedy="name the output folder of each stage")
    ledgers = [read_ledger(path) for path in paths]
    for before, path, after in zip(ledgers, paths[1:], ledgers[1:], strict=False):
        if before.rows.out != after.rows.in_:
            problem = f"{after.stage} got {after.rows.in_} rows, but {before.stage} gave {before.rows.out}"
            raise InputError(problem, place=str(path), remedy=_ONE_RUN)
    outcomes = ledgers[-1].outcomes
    if outcomes:
        outcomes = (*_unread(ledgers[0]), *outcomes)
        _check_outcomes(ledgers, paths, outcomes)
    stages = [ledger.model_dump(by_alias=True, exclude={"details", "outcomes"}) for ledger in ledgers]
    value: dict[str, Any] = {"rows": {"in": ledgers[0].rows.in_, "out": ledgers[-1].rows.out}, "stages": stages}
    if outcomes:
        flows = _token_flows([ledger.stage for ledger in ledgers], outcomes)
        for stage in stages:
            stage["tokens"] = flows[stage["stage"]]
        value["tokens"] = {"in": stages[0]["tokens"]["in"], "out": stages[-1]["tokens"]["out"]}
        value["outcomes"] = [outcome.model_dump() for outcome in outcomes]
    return value


def _unread(first: Ledger) -> list[RowOutcome]:
    """The outcomes of rows that were never read, and so have no id and no tokens."""
    if first.stage != "ingest":
        return []
    return [
        RowOutcome(source=source, stage=first.stage, reason=reason, rows=rows)
        for source, flow in first.per_source.items()
        for reason, rows in flow.reasons.items()
    ]


def _check_outcomes(ledgers: Sequence[Ledger], paths: Sequence[Path], outcomes: Sequence[RowOutcome]) -> None:
    """Raise InputError unless the outcomes agree with the ledger of every source and stage."""
    for ledger, path in zip(ledgers, paths, strict=True):
        last, sources = ledger is ledgers[-1], ledger.per_source.items()
        expected = Counter({(name, reason): rows for name, flow in sources for reason, rows in flow.reasons.items()})
        expected |= Counter({(name, KEPT): flow.out for name, flow in sources if last})
        counted = Counter[tuple[str, str]]()
        for outcome in outcomes:
            if outcome.stage == ledger.stage:
                counted[outcome.source, outcome.reason or KEPT] += outcome.rows
        for source, reason in sorted(expected | counted):
            counts = expected[source, reason], counted[source, reason]
            if counts[0] != counts[1]:
                problem = (
                    f"{counts[0]} rows of {source} are {reason!r}, but the outcomes in {paths[-1]} have {counts[1]}"
                )
                raise InputError(problem, place=str(path), remedy=_ONE_RUN)


def _token_flows(stages: Sequence[str], outcomes: Sequence[RowOutcome]) -> dict[str, dict[str, int]]:
    left = Counter({stage: sum(o.tokens or 0 for o in outcomes if o.stage == stage and o.reason) for stage in stages})
    still = sum(outcome.tokens or 0 for outcome in outcomes)
    flows = {}
    for stage in stages:
        flows[stage] = {"in": still, "out": still - left[stage]}
        still -= left[stage]
    return flows


def _checked(value: Any, place: str) -> Ledger:
    return parse(Ledger, value, place=place, remedy="every row that does not go out needs one reason")
