"""Several tasks in one model: a mixture in which small tasks may weigh more than their size.

A task of n rows is drawn in proportion to n^(1/T) (arXiv 1907.05019, section 3.2): with T = 1 an epoch holds every row
once, with a larger one the tasks come nearer to equal parts. An epoch has as many draws as there are rows; a task's
rows all come before one comes again.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from tunegate.models.tokens.examples import Example
from tunegate.params import Train
from tunegate.training.batching import collate, grouped
from tunegate.training.loss import next_token_loss
from tunegate.training.tasks import Tasks, endless, require_same_tasks, tasks_of
from tunegate.training.technique import State, Step, Technique

PLACE = "params.yaml: train.multitask.task"


def multitask(settings: Train) -> Technique:
    """What learning several tasks gives to the loop."""
    name = settings.multitask.task

    def rows(train: Sequence[Example], valid: Sequence[Example]) -> tuple[Sequence[Example], Sequence[Example]]:
        require_same_tasks(tasks_of(train, name, PLACE), tasks_of(valid, name, PLACE), PLACE)
        return train, valid

    return Technique(collate=collate, loss=next_token_loss, plan=mixed, rows=rows)


def mixed(examples: Sequence[Example], settings: Train, _state: State) -> list[Step]:
    """The steps of `settings.epochs` passes, each a mixture of the tasks in an order of its own."""
    tasks = tasks_of(examples, settings.multitask.task, PLACE)
    counts = draws({name: len(rows) for name, rows in tasks.items()}, settings.multitask.temperature)
    streams = _streams(tasks, settings.seed)
    plan = []
    for epoch in range(settings.epochs):
        drawn = [next(streams[name]) for name, count in counts.items() for _ in range(count)]
        order = np.random.default_rng([settings.seed, epoch]).permutation(len(drawn))
        batches = grouped([drawn[index] for index in order], settings.tokens_per_step)
        plan += [Step(epoch + 1, index == len(batches) - 1, batch) for index, batch in enumerate(batches)]
    return plan


def draws(sizes: dict[str, int], temperature: float) -> dict[str, int]:
    """How many of an epoch's draws each task gets: in proportion to size^(1/T), rounded, one at least.

    What rounding down leaves over goes to the largest remainders, so that the sum is that of the sizes (but where
    there are more small tasks than draws to spare).
    """
    weights = np.array([size ** (1 / temperature) for size in sizes.values()])
    exact = weights / weights.sum() * sum(sizes.values())
    # Powers and quotients of floats are a little off: with T = 1 every row must come once.
    counts = np.floor(exact + 1e-9).astype(int)
    for index in np.argsort(-(exact - counts), kind="stable")[: sum(sizes.values()) - counts.sum()]:
        counts[index] += 1
    return {name: max(1, int(count)) for name, count in zip(sizes, counts, strict=True)}


def _streams(tasks: Tasks, seed: int) -> dict[str, Iterator[Example]]:
    return {name: endless(rows, [seed, number, len(rows)]) for number, (name, rows) in enumerate(tasks.items(), 1)}
