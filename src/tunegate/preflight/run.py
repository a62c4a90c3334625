"""The whole preflight: what the stages before `train` wrote is read, the model is loaded once, and every check is made.

Reads data/prepared, data/tokens and models/base; writes nothing.
"""

import dataclasses
import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tunegate.errors import InputError
from tunegate.files import read_json
from tunegate.models.devices import has_device
from tunegate.models.labels import split as labels_in
from tunegate.models.loading import load_tokenizer
from tunegate.models.tokens.examples import IGNORED, Example, examples_from
from tunegate.models.tokens.preview import Span, spans_of
from tunegate.params import Params, Train
from tunegate.preflight.checks import Finding, prompts_checked, rows_checked, template_checked, vocabulary_checked
from tunegate.preflight.memory import Forecast, forecast
from tunegate.preflight.probes import batching_checked, overfit_checked, rate_checked
from tunegate.tables import parquet_batches, read_parquet
from tunegate.training.fast import path as fast_path
from tunegate.training.setup import begin
from tunegate.training.technique import Technique

SPLITS = ("train", "valid", "test")
SAMPLE = 8
"""Rows on which the template is checked, and that are shown."""
PROBED = 4
"""Rows on which the model is."""
Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Preflight:
    """The result of a preflight."""

    findings: list[Finding]
    forecast: Forecast | None
    """None where training is refused before the model is run."""
    preview: list[tuple[str, list[Span]]]
    """Row id and spans of some training rows."""

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
    labels: dict[str, dict[str, int]]
    """Split to label to rows; with several labels in a row, each of them counts."""
    tasks: dict[str, set[str]]
    """Empty but for the technique multitask."""
    sample: list[tuple[dict[str, Any], Example]]
    """The first training rows that are learned from, as canonical rows and as examples."""
    base: Path


def read_inputs(params: Params, prepared: Path, tokens: Path, base: Path) -> Inputs:
    """Read them. Raises InputError where a stage has not run."""
    for folder in (prepared, tokens, base):
        if not folder.is_dir():
            raise InputError("not there yet", place=str(folder), remedy="run `dvc repro tokenize` first")
    splits = {split: examples_from(read_parquet(tokens / f"{split}.parquet")) for split in SPLITS[:2]}
    how = params.train.classify
    separator = how.separator if params.train.has_head and how.multi_label else None
    labels = {split: _labels(prepared / f"{split}.parquet", separator) for split in SPLITS}
    task = params.train.multitask.task if params.train.technique == "multitask" else None
    tasks = {split: set() if task is None else _tasks(prepared / f"{split}.parquet", task) for split in SPLITS}
    answered = (example for example in splits["train"] if any(label != IGNORED for label in example.labels))
    chosen = list(itertools.islice(answered, SAMPLE)) or splits["train"][:SAMPLE]
    rows = _rows(prepared / "train.parquet", {example.id for example in chosen})
    sample = [(rows[example.id], example) for example in chosen if example.id in rows]
    return Inputs(params, splits, read_json(tokens / "ledger.json")["notes"], labels, tasks, sample, base)


def preflight(inputs: Inputs, say: Say) -> Preflight:
    """Make every check; `say` gets the name of each part. Where the rows are refused, the model is not loaded."""
    settings, train = inputs.params.train, inputs.splits["train"]
    say("rows")
    if is_elsewhere := not has_device(settings.device):
        settings = settings.model_copy(update={"device": "cpu"})
    findings = list(rows_checked(inputs.params, inputs.splits, inputs.notes, inputs.labels, inputs.tasks))
    if is_elsewhere:
        result = "train.device is cuda and there is no GPU here: the model is checked, and timed, on the CPU"
        findings.append(Finding("device", "warning", result, "train on a machine with one"))
    tokenizer = load_tokenizer(inputs.base)
    preview = [(example.id, spans_of(tokenizer, example)) for _, example in inputs.sample]
    if any(finding.status == "refused" for finding in findings):
        return Preflight(findings, None, preview)
    say("model")
    _, model, technique = begin(settings, inputs.base, train, inputs.splits["valid"])
    say("template")
    findings += [*_template(tokenizer, model, inputs), rate_checked(settings)]
    rows = train if technique.rows is None else technique.rows(train, inputs.splits["valid"])[0]
    # As training does it; the model is thrown away afterwards.
    fast_path.install(model)
    findings += _probed(model, technique, settings, [example for _, example in inputs.sample[:PROBED]], say)
    say("memory and time")
    return Preflight(findings, forecast(model, technique, settings, technique.plan(rows, settings, {})), preview)


def _template(tokenizer: Any, model: Any, inputs: Inputs) -> Iterator[Finding]:
    technique, (rows, examples) = inputs.params.train.technique, zip(*inputs.sample, strict=True)
    yield vocabulary_checked(tokenizer, model, examples)
    if technique == "reinforce":
        yield prompts_checked(tokenizer, rows, [example.ids for example in examples])
    elif technique not in ("pretrain", "classify"):
        yield from template_checked(tokenizer, rows, examples)


def _probed(model: Any, technique: Technique, settings: Train, rows: Sequence[Example], say: Say) -> Iterator[Finding]:
    if technique.prepare is not None or technique.compute_gradients is not None:
        result = f"batching, accumulation and one batch: {settings.technique} makes what it learns from as it trains"
        yield Finding("not checked", "skipped", result)
        return
    say("batching")
    yield from batching_checked(model, technique, settings, rows)
    say("one batch")
    yield overfit_checked(model, technique, settings, rows)


def _labels(path: Path, separator: str | None) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for batch in parquet_batches(path, columns=["label"]):
        for label in batch["label"].drop_null().to_pylist():
            counts.update(labels_in(label, separator))
    return dict(counts)


def _tasks(path: Path, name: str) -> set[str]:
    rows = itertools.chain.from_iterable(
        batch.to_pylist() for batch in parquet_batches(path, columns=["source", "slices"])
    )
    tasks = ({"source": row["source"], **dict(row["slices"])}.get(name) for row in rows)
    return {task for task in tasks if task is not None}


def _rows(path: Path, ids: set[str]) -> dict[str, dict[str, Any]]:
    rows = {}
    for batch in parquet_batches(path):
        kept = batch.filter(pc.is_in(batch["id"], pa.array(sorted(ids), pa.string())))
        rows.update({row["id"]: row for row in kept.to_pylist()})
    return rows
