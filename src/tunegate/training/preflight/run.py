"""The whole preflight: what the stages before `train` wrote is read, the model is loaded once, and every check is made.

Reads data/prepared, data/tokens and models/base; writes nothing.
"""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tunegate.errors import InputError
from tunegate.files import read_json
from tunegate.models.examples import Example, examples_from
from tunegate.models.loading import load_tokenizer
from tunegate.models.preview import Piece, pieces_of
from tunegate.params import Params
from tunegate.tables import parquet_batches, read_parquet
from tunegate.training.beginning import begin
from tunegate.training.preflight.findings import Finding
from tunegate.training.preflight.memory import Forecast, forecast
from tunegate.training.preflight.probes import batching_checked, overfit_checked, rate_checked
from tunegate.training.preflight.prompting import template_checked
from tunegate.training.preflight.rows import rows_checked
from tunegate.training.technique import Technique

SPLITS = ("train", "valid", "test")
SAMPLE = 8
"""Rows on which template and model are checked."""
Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Preflight:
    """What was found."""

    findings: list[Finding]
    forecast: Forecast
    preview: list[tuple[str, list[Piece]]]
    """Row id and pieces of some training rows."""

    @property
    def refused(self) -> list[Finding]:
        """The findings for which training is refused."""
        return [finding for finding in self.findings if finding.status == "refused"]


@dataclasses.dataclass(frozen=True)
class Inputs:
    """What the stages before `train` wrote."""

    params: Params
    splits: dict[str, list[Example]]
    notes: dict[str, Any]
    labels: dict[str, set[str]]
    sample: list[dict[str, Any]]
    """Canonical rows of the first training examples, in their order."""
    base: Path


def read_inputs(params: Params, prepared: Path, tokens: Path, base: Path) -> Inputs:
    """Read them. Raises InputError where a stage has not run."""
    for folder in (prepared, tokens, base):
        if not folder.is_dir():
            raise InputError("not there yet", place=str(folder), remedy="run `dvc repro tokenize` first")
    splits = {split: examples_from(read_parquet(tokens / f"{split}.parquet")) for split in SPLITS[:2]}
    labels = {split: _labels(prepared / f"{split}.parquet") for split in SPLITS}
    wanted = {example.id for example in splits["train"][:SAMPLE]}
    rows = {row["id"]: row for row in _rows(prepared / "train.parquet") if row["id"] in wanted}
    sample = [rows[example.id] for example in splits["train"][:SAMPLE] if example.id in rows]
    return Inputs(params, splits, read_json(tokens / "ledger.json")["notes"], labels, sample, base)


def preflight(inputs: Inputs, say: Say) -> Preflight:
    """Make every check; `say` is told what is being looked at."""
    settings = inputs.params.train
    say("rows")
    found = list(rows_checked(inputs.params, inputs.splits, inputs.notes, inputs.labels))
    say("model")
    _, model, technique = begin(settings, inputs.base, inputs.splits["train"], inputs.splits["valid"])
    tokenizer = load_tokenizer(inputs.base)
    sample = inputs.splits["train"][:SAMPLE]
    say("template")
    if inputs.sample and settings.technique not in ("pretrain", "classify"):
        found += template_checked(tokenizer, model, inputs.sample, sample[: len(inputs.sample)])
    found += [rate_checked(settings)]
    found += _probed(model, technique, inputs, say)
    say("memory and time")
    expected = forecast(model, technique, settings, technique.plan(inputs.splits["train"], settings, {}))
    return Preflight(found, expected, [(row.id, pieces_of(tokenizer, row)) for row in sample])


def _probed(model: Any, technique: Technique, inputs: Inputs, say: Say) -> Iterator[Finding]:
    settings, rows = inputs.params.train, inputs.splits["train"][:SAMPLE]
    if technique.prepare is not None or technique.pull is not None:
        return  # what it learns from is made of the model's own answers, or in steps of its own
    say("batching")
    yield from batching_checked(model, technique, settings, rows[: SAMPLE // 2])
    say("one batch")
    yield overfit_checked(model, technique, settings, rows[: SAMPLE // 2])


def _labels(path: Path) -> set[str]:
    found: set[str] = set()
    for batch in parquet_batches(path, columns=["label"]):
        found.update(batch["label"].unique().drop_null().to_pylist())
    return found


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    for batch in parquet_batches(path):
        yield from batch.to_pylist()
