"""The adaptation curve of technique `fewshot`: how well a task is done after so many steps on a few of its rows.

Adapts the learned start and the untuned model alike, by the steps of SGD that training takes inside of a task, and
measures the NLL of the task's other rows.
"""

import csv
import dataclasses
import hashlib
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from tunegate.errors import InputError
from tunegate.evaluation.answers import Question, nll_of, questions_of
from tunegate.models.task_adaptation import descend, restored
from tunegate.models.tokens.examples import IGNORED
from tunegate.models.tokens.formats.answers import tasks_of
from tunegate.models.tuned import TunedModel, load_untuned
from tunegate.params import Evaluate, Params, Train
from tunegate.tables import parquet_batches

STEPS = (0, 1, 2, 4, 8)
"""Inner steps after which a task is measured."""

COLUMNS = ("task", "model", "steps", "rows", "nll")
"""The columns of models/adaptation.csv: `rows` were measured, `nll` is in nats per token of their references."""

Row = dict[str, Any]
Point = tuple[str, str, int, int, float]


@dataclasses.dataclass(frozen=True)
class Task:
    """A task of the test split: rows to adapt to, and rows to measure."""

    name: str
    shots: list[Question]
    others: list[Question]


def adaptation_csv(
    tuned: TunedModel, base: Path, tokenizer: Any, test: Sequence[Row], prepared: Path, params: Params
) -> str:
    """The content of models/adaptation.csv; of another technique its header alone."""
    if tuned.record.technique != "fewshot":
        return to_csv([])
    batches = parquet_batches(prepared / "train.parquet", columns=["source", "slices"])
    train = [row for batch in batches for row in batch.to_pylist()]
    tasks = tasks_to_measure(tokenizer, test, train, params.train)
    return to_csv(curve(tuned, base, tokenizer, tasks, params))


def curve(tuned: TunedModel, base: Path, tokenizer: Any, tasks: Sequence[Task], params: Params) -> list[Point]:
    """One point for each task, model and number of steps."""
    fresh = _untuned(tuned, base, params.evaluate)
    names = {name for name, parameter in fresh.named_parameters() if parameter.requires_grad}
    points = []
    for name, model in (("base", fresh), ("tuned", tuned.model)):
        for key, parameter in model.named_parameters():
            parameter.requires_grad_(key in names)
        for task in tasks:
            points += [(task.name, name, *point) for point in _measured(model, tokenizer, task, params)]
    return sorted(points)


def tasks_to_measure(tokenizer: Any, test: Sequence[Row], train: Sequence[Row], settings: Train) -> list[Task]:
    """The tasks that only the test rows have; where there is none, all of theirs. Tasks without rows to spare are out.

    `train` are training rows with `source` and `slices`. Raises InputError when nothing is left to measure.
    """
    key, shots = settings.fewshot.task, settings.fewshot.shots
    by_task: dict[str, list[Row]] = {}
    for row in sorted(test, key=lambda row: hashlib.sha256(str(row["id"]).encode()).digest()):
        by_task.setdefault(tasks_of(row).get(key, ""), []).append(row)
    trained = {tasks_of(row).get(key, "") for row in train}
    names = sorted(by_task.keys() - trained) or sorted(by_task)
    measurable = [(name, questions_of(tokenizer, by_task[name])) for name in names if len(by_task[name]) > shots]
    if not measurable:
        remedy = "raise prepare.test_share, or lower train.fewshot.shots"
        raise InputError(f"no task has more than {shots} test rows", place="params.yaml: train.fewshot", remedy=remedy)
    return [Task(name, questions[:shots], questions[shots:]) for name, questions in measurable]


def to_csv(points: Sequence[Point]) -> str:
    """The points as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((*point[:-1], round(point[-1], 6)) for point in points)
    return text.getvalue()


def _untuned(tuned: TunedModel, base: Path, settings: Evaluate) -> Any:
    """What training started from: the base, with a new adapter where one was trained."""
    model = load_untuned(base, tuned.record, device=settings.device, precision=settings.precision)
    configs = getattr(tuned.model, "peft_config", None)
    if configs is None:
        return model
    from peft import get_peft_model

    torch.manual_seed(tuned.record.seed)
    return get_peft_model(model, dataclasses.replace(configs["default"], inference_mode=False)).eval()


def _measured(model: Any, tokenizer: Any, task: Task, params: Params) -> Iterator[tuple[int, int, float]]:
    """(steps, rows, NLL) after each of `STEPS`."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    options = {"rate": params.train.fewshot.inner_learning_rate, "max_norm": params.train.max_grad_norm}
    with restored(parameters):
        done = 0
        for steps in STEPS:
            batches = [task.shots] * (steps - done)
            descend(parameters, batches, lambda rows: _loss(model, tokenizer, rows, params.evaluate), **options)
            done = steps
            yield steps, len(task.others), _nll(model, tokenizer, task.others, params.evaluate)


def _nll(model: Any, tokenizer: Any, rows: Sequence[Question], settings: Evaluate) -> float:
    size = settings.batch_size
    with torch.no_grad():
        losses = [
            nll
            for at in range(0, len(rows), size)
            for nll in nll_of(model, tokenizer, list(rows[at : at + size]), settings)
        ]
    return sum(losses) / len(losses)


def _loss(model: Any, tokenizer: Any, rows: Sequence[Question], settings: Evaluate) -> torch.Tensor:
    """Mean cross-entropy of the rows' reference tokens, with a graph."""
    width = max(len(row.prompt) + len(row.reference_ids) for row in rows)
    pads = [width - len(row.prompt) - len(row.reference_ids) for row in rows]
    pad = tokenizer.pad_token_id
    ids = [row.prompt + row.reference_ids + [pad] * n for row, n in zip(rows, pads, strict=True)]
    labels = [
        [IGNORED] * len(row.prompt) + row.reference_ids + [IGNORED] * n for row, n in zip(rows, pads, strict=True)
    ]
    mask = [[1] * (width - n) + [0] * n for n in pads]
    inputs, targets, attention = (torch.tensor(values, device=settings.device) for values in (ids, labels, mask))
    logits = model(input_ids=inputs, attention_mask=attention, use_cache=False).logits[:, :-1].float()
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets[:, 1:].flatten(), ignore_index=IGNORED)
