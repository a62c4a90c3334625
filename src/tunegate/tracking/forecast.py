"""What training and evaluating will cost, from the costs in git's history of reports/timings.json.

A recorded run counts where it was made on the device class asked for; runs of the newest one's hardware are taken
together, and their median is the forecast. What was recorded with another model or other settings is still used,
and noted. Which stages run, the caller says.
"""

import dataclasses
import itertools
import statistics
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Literal

from tunegate.errors import InputError
from tunegate.files import parse_json, parse_yaml
from tunegate.models.cost import Cost, TrainCost
from tunegate.params import parse
from tunegate.repository.revisions import Repository

TIMINGS = "reports/timings.json"
LEDGER = "reports/data.json"
_MOST_COMMITS = 50
_MOST_RUNS = 10
_SETTINGS = {
    "train": ("base.model", "train.precision", "train.rank", "train.target_modules", "train.tokens_per_step"),
    "evaluate": ("base.model", "evaluate.precision", "evaluate.batch_size", "evaluate.max_new_tokens"),
}
"""Parameters on which speed and memory depend, besides the device."""


@dataclasses.dataclass(frozen=True)
class Record:
    """The record of a run at a commit."""

    params: Mapping[str, Any]
    """params.yaml, as it stood there."""
    rows: int
    """Test rows."""
    train: TrainCost
    evaluate: Cost

    def cost(self, stage: str) -> Cost:
        """What the stage cost."""
        return self.train if stage == "train" else self.evaluate

    def amount(self, stage: str) -> int:
        """How much the stage worked on: tokens, or test rows."""
        return self.train.tokens if stage == "train" else self.rows


@dataclasses.dataclass(frozen=True)
class Forecast:
    """What one stage will cost; None stands for `not recorded`."""

    stage: Literal["train", "evaluate"]
    amount: int | None
    """Tokens seen in training, or test rows answered."""
    seconds: float | None
    peak_memory_bytes: int | None
    hardware: str | None
    """Where the recorded runs were made."""
    runs: int
    """How many recorded runs it is from."""
    notes: tuple[str, ...]
    """Why it is rough, or missing."""


def forecast(
    params: Mapping[str, Any], ledger: Mapping[str, Any], records: Sequence[Record], stale: Collection[str]
) -> list[Forecast]:
    """What `train` and `evaluate` will cost where they are among the stages `stale`, which run or may run.

    `params` is params.yaml, `ledger` reports/data.json (empty where there is none), `records` are the newest first.
    """
    stages: tuple[Literal["train", "evaluate"], ...] = ("train", "evaluate")
    return [_forecast(stage, params, ledger, records, stale) for stage in stages if stage in stale]


def read_records(repository: Repository, revision: str) -> list[Record]:
    """What the history of `revision` records, the newest first; commits that record no cost are left out."""
    commits = itertools.islice(repository.history([revision], TIMINGS), _MOST_COMMITS)
    return [record for commit in commits if (record := _record(repository, commit))]


def _record(repository: Repository, commit: str) -> Record | None:
    timings, params = repository.read(commit, TIMINGS), repository.read(commit, "params.yaml")
    place = f"{commit[:12]}:{TIMINGS}"
    try:
        recorded = parse_json(timings or "{}", place=place)
        settings = parse_yaml(params or "{}", place=place, generated=True)
        train = parse(TrainCost, recorded["train"], place=place, remedy="")
        evaluate = parse(Cost, recorded["evaluate"], place=place, remedy="")
        return Record(settings if isinstance(settings, dict) else {}, int(recorded["rows"]), train, evaluate)
    except (InputError, KeyError, TypeError, ValueError):
        # History may hold any file of this name, such as older layouts: skipped.
        return None


def _forecast(
    stage: Literal["train", "evaluate"],
    params: Mapping[str, Any],
    ledger: Mapping[str, Any],
    records: Sequence[Record],
    stale: Collection[str],
) -> Forecast:
    used = _comparable(stage, params, records)
    amount, notes = _amount(stage, params, ledger, used)
    if "tokenize" in stale or "prepare" in stale:
        notes.append("counted before the stages that make the rows run again")
    if not used:
        notes.append(f"not recorded on {_value(params, f'{stage}.device')}")
        return Forecast(stage, amount, None, None, None, 0, tuple(notes))
    rate = statistics.median(record.amount(stage) / record.cost(stage).seconds for record in used)
    memory = int(statistics.median(record.cost(stage).peak_memory_bytes for record in used))
    seconds = amount / rate if amount is not None and rate else None
    notes += _differences(stage, params, used[0])
    return Forecast(stage, amount, seconds, memory, used[0].cost(stage).hardware, len(used), tuple(notes))


def _comparable(stage: str, params: Mapping[str, Any], records: Sequence[Record]) -> list[Record]:
    """The runs to forecast from: of this device class, with these settings if possible, all on the same hardware."""
    device = f"{stage}.device"
    # A training that is evaluated again, or merged, is recorded twice.
    once = list({record.cost(stage).model_dump_json(): record for record in reversed(records)}.values())[::-1]
    usable = [r for r in once if _value(r.params, device) == _value(params, device) and r.cost(stage).seconds > 0]
    alike = [record for record in usable if not list(_differences(stage, params, record))] or usable
    return [r for r in alike if r.cost(stage).hardware == alike[0].cost(stage).hardware][:_MOST_RUNS]


def _differences(stage: str, params: Mapping[str, Any], record: Record) -> Iterator[str]:
    for key in _SETTINGS[stage]:
        old, new = _value(record.params, key), _value(params, key)
        if old != new:
            yield f"rough: recorded with {key} {old}, now {new}"


def _amount(
    stage: str, params: Mapping[str, Any], ledger: Mapping[str, Any], used: Sequence[Record]
) -> tuple[int | None, list[str]]:
    """Tokens that training will see, or rows to answer: from the ledger, or else from the newest run."""
    notes = {item["stage"]: item.get("notes", {}) for item in ledger.get("stages", [])}
    if stage == "evaluate":
        rows = notes.get("prepare", {}).get("split: test")
        return (int(rows), []) if rows is not None else _as_before(used, stage)
    tokens, epochs = notes.get("tokenize", {}).get("train_tokens_out"), _value(params, "train.epochs")
    if tokens is not None:
        return int(tokens * epochs), []
    amount, notes_before = _as_before(used, stage)
    before = _value(used[0].params, "train.epochs") if used else None
    return (round(amount * epochs / before) if amount and before else amount), notes_before


def _as_before(used: Sequence[Record], stage: str) -> tuple[int | None, list[str]]:
    if not used:
        return None, []
    return used[0].amount(stage), [f"{LEDGER} does not count them: as many as in the newest run"]


def _value(params: Mapping[str, Any], key: str) -> Any:
    section, _, name = key.partition(".")
    value = (params.get(section) or {}).get(name)
    return list(value) if isinstance(value, tuple) else value
