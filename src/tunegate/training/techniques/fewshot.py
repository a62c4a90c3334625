"""Meta-learning over tasks by Reptile (arXiv 1803.02999): a start from which a new task takes few rows.

A step draws a few tasks. From the same start, each is trained for `inner_steps` steps of SGD on `shots` of its rows;
the gradient of the start is the mean direction from their ends back to it, (start - end) / inner learning rate. The
validation loss is that before any adaptation; stage `evaluate` measures the curve after it.
"""

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from tunegate.errors import InputError
from tunegate.models.task_adaptation import descend, restored
from tunegate.models.tokens.examples import Example
from tunegate.params import Train
from tunegate.training.batching import collate
from tunegate.training.loss import next_token_loss
from tunegate.training.tasks import endless, tasks_of
from tunegate.training.technique import State, Step, Technique

PLACE = "params.yaml: train.fewshot.task"
ADAPTED = "adapted_loss"
"""The note: mean loss of the last inner step, before it."""

Rows = Sequence[Example]


def fewshot(settings: Train) -> Technique:
    """What meta-learning gives to the loop."""

    def rows(train: Rows, valid: Rows) -> tuple[Rows, Rows]:
        tasks = tasks_of(train, settings.fewshot.task, PLACE)
        if len(tasks) < 2:
            problem = f"one task, {next(iter(tasks))!r}: learning to learn takes several"
            raise InputError(problem, place=PLACE, remedy="name a slice that tells tasks apart")
        return train, valid

    return Technique(
        collate=collate,
        loss=next_token_loss,
        plan=episodes,
        rows=rows,
        compute_gradients=functools.partial(_compute_gradients, settings),
        notes=(ADAPTED,),
    )


def episodes(examples: Rows, settings: Train, _state: State) -> list[Step]:
    """The steps of `settings.epochs` passes: each shows as many rows as there are, every task as often as another.

    An episode is `inner_steps` times `shots` rows of one task; a step has as many as `tokens_per_step` holds, one at
    least.
    """
    tasks = tasks_of(examples, settings.fewshot.task, PLACE)
    size = settings.fewshot.inner_steps * settings.fewshot.shots
    count = -(-len(examples) // size)
    streams = [endless(rows, [settings.seed, number]) for number, rows in enumerate(tasks.values(), 1)]
    turns = endless(range(len(streams)), [settings.seed])
    plan = []
    for epoch in range(1, settings.epochs + 1):
        drawn = [[next(streams[task]) for _ in range(size)] for task in (next(turns) for _ in range(count))]
        steps = list(_together(drawn, settings.tokens_per_step))
        plan += [Step(epoch, index == len(steps) - 1, rows) for index, rows in enumerate(steps)]
    return plan


def _together(drawn: Sequence[list[Example]], tokens: int) -> Iterator[list[Example]]:
    held: list[Example] = []
    for episode in drawn:
        if held and sum(example.length for example in (*held, *episode)) > tokens:
            yield held
            held = []
        held = held + episode
    yield held


def _compute_gradients(settings: Train, model: Any, examples: Rows, autocast: Any) -> tuple[float, Mapping[str, float]]:
    """Fill the gradients of the trainable parameters; the mean first and last loss of the episodes."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    own, loss = settings.fewshot, functools.partial(_loss, model, autocast)
    size = own.inner_steps * own.shots
    parts = [examples[at : at + size] for at in range(0, len(examples), size)]
    directions = [torch.zeros_like(parameter) for parameter in parameters]
    losses = []
    for episode in parts:
        batches = [
            collate(episode[at : at + own.shots]).to(settings.device) for at in range(0, len(episode), own.shots)
        ]
        with restored(parameters) as start:
            how = {"rate": own.inner_learning_rate, "max_norm": settings.max_grad_norm}
            losses.append(descend(parameters, batches, loss, **how))
            for direction, before, after in zip(directions, start, parameters, strict=True):
                direction.add_((before - after.detach()) / (own.inner_learning_rate * len(parts)))
    for parameter, direction in zip(parameters, directions, strict=True):
        parameter.grad = direction
    first, last = (sum(episode[at] for episode in losses) / len(parts) for at in (0, -1))
    return first, {ADAPTED: last}


def _loss(model: Any, autocast: Any, batch: Any) -> torch.Tensor:
    with autocast():
        total: torch.Tensor = next_token_loss(model, batch).total / batch.units
    return total
