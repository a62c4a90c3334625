from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from rounding import is_close
from technique_runs import example, loss_on, require_exact_resume, start_of, trained

from tunegate.errors import InputError
from tunegate.models.task_adaptation import descend, restored
from tunegate.models.tokens.examples import Example
from tunegate.params import Fewshot, Train
from tunegate.training import loop
from tunegate.training.adapter import trainable
from tunegate.training.batching import collate
from tunegate.training.loss import next_token_loss
from tunegate.training.techniques.fewshot import episodes

OWN = Fewshot(task="task", inner_steps=4, inner_learning_rate=0.3, shots=3)
SETTINGS = Train(
    technique="fewshot",
    precision="fp32",
    epochs=8,
    tokens_per_step=128,
    learning_rate=0.02,
    warmup_share=0.0,
    checkpoint_every=3,
    fewshot=OWN,
)


def row(task: int, number: int) -> Example:
    """Every task gives one answer to all questions, one of a few words: only rows of the task tell which."""
    return example(f"{task}-{number}", [100 + number * 7 % 50, 30], [60 + task], task=str(task))


TRAIN = [row(task, number) for task in range(8) for number in range(12)]
VALID = [row(task, 20 + number) for task in range(8) for number in range(2)]
UNSEEN = [[row(task, number) for number in range(30)] for task in (8, 9)]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def adapted_loss(model: Any, rows: list[Example]) -> float:
    """On the rest of a task's rows, after the inner steps on its first ones."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    shots = [collate(rows[at * 3 : at * 3 + 3]) for at in range(4)]
    with restored(parameters):
        descend(parameters, shots, lambda b: next_token_loss(model, b).total / b.units, rate=0.3, max_norm=1.0)
        return loss_on(model, rows[12:])


def test_an_unseen_task_takes_few_rows_from_the_learned_start(tiny_model: Path) -> None:
    start, _ = start_of(tiny_model, SETTINGS)
    before = [adapted_loss(start, rows) for rows in UNSEEN]
    model, progress = trained(tiny_model, SETTINGS, TRAIN, VALID)
    after = [adapted_loss(model, rows) for rows in UNSEEN]
    assert all(now < then * 0.7 for now, then in zip(after, before, strict=True)), (before, after)
    assert progress.records[-1]["adapted_loss"] < progress.records[-1]["loss"]


def test_meta_learning_resumes_exactly(tiny_model: Path) -> None:
    require_exact_resume(tiny_model, SETTINGS.model_copy(update={"epochs": 2}), TRAIN, VALID, passes=42)


def test_a_gradient_is_the_mean_direction_back_from_the_end_of_each_task(tiny_model: Path) -> None:
    model, technique = start_of(tiny_model, SETTINGS)
    (rows, *_) = [step.examples for step in episodes(TRAIN, SETTINGS, {})]
    parameters = list(trainable(model).values())
    before = [parameter.detach().clone() for parameter in parameters]
    assert technique.compute_gradients is not None
    technique.compute_gradients(model, rows, lambda: torch.autocast("cpu", enabled=False))
    assert all(torch.equal(now, then) for now, then in zip(parameters, before, strict=True))
    expected = [torch.zeros_like(parameter) for parameter in parameters]
    tasks = list(chunks(rows, 12))
    for task in tasks:
        with restored(parameters):
            for shots in chunks(task, 3):
                batch = collate(list(shots))
                value = next_token_loss(model, batch).total / batch.units
                gradients = torch.autograd.grad(value, parameters)
                norm = max(1.0, float(torch.cat([g.flatten() for g in gradients]).norm()))
                with torch.no_grad():
                    for parameter, gradient in zip(parameters, gradients, strict=True):
                        parameter.sub_(0.3 / norm * gradient)
            for direction, then, now in zip(expected, before, parameters, strict=True):
                direction.add_((then - now.detach()) / 0.3 / len(tasks))
    for parameter, direction in zip(parameters, expected, strict=True):
        assert parameter.grad is not None
        assert is_close(parameter.grad, direction, 2 * OWN.inner_steps)


def chunks(rows: Any, size: int) -> Iterator[Any]:
    return (rows[at : at + size] for at in range(0, len(rows), size))


def test_an_episode_is_of_one_task_and_tasks_take_turns() -> None:
    small = [*TRAIN, row(9, 0)]
    settings = SETTINGS.model_copy(update={"epochs": 1})
    plan = episodes(small, settings, {})
    found = [chunk for step in plan for chunk in chunks(step.examples, 12)]
    assert len(found) == -(-len(small) // 12)
    names = [{example.tasks["task"] for example in episode} for episode in found]
    assert all(len(one) == 1 for one in names)
    assert len(set.union(*names)) == 9
    assert all(sum(e.length for e in step.examples) <= 128 for step in plan)
    assert episodes(small, settings, {}) == plan


def test_one_task_alone_is_refused(tiny_model: Path) -> None:
    model, technique = start_of(tiny_model, SETTINGS)
    with pytest.raises(InputError, match="one task, '3': learning to learn takes several"):
        loop.run(model, [row(3, n) for n in range(9)], VALID, SETTINGS, technique, {})
