from collections import Counter
from pathlib import Path

import pytest
from technique_runs import example, loss_on, require_exact_resume, start_of, trained

from tunegate.errors import InputError
from tunegate.models.tokens.examples import Example
from tunegate.params import Multitask, Train
from tunegate.training import loop
from tunegate.training.techniques.multitask import draws, mixed

SETTINGS = Train(
    technique="multitask",
    precision="fp32",
    epochs=6,
    tokens_per_step=64,
    learning_rate=0.02,
    checkpoint_every=3,
    multitask=Multitask(task="kind", temperature=2.0),
)
SIZES = {"next": 27, "same": 12, "fixed": 3}


def row(kind: str, number: int) -> Example:
    """Three tasks over the same tokens; a token in front says which."""
    word = 50 + number * 5 % 23
    answer = {"next": word + 1, "same": word, "fixed": 45}[kind]
    return example(f"{kind}-{number}", [30 + list(SIZES).index(kind), word], [answer], kind=kind)


TRAIN = [row(kind, number) for kind, size in SIZES.items() for number in range(size)]
VALID = [row(kind, 30 + number) for kind in SIZES for number in range(3)]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_every_task_beats_its_own_start(tiny_model: Path) -> None:
    start, _ = start_of(tiny_model, SETTINGS)
    before = {kind: loss_on(start, [e for e in VALID if e.id.startswith(kind)]) for kind in SIZES}
    model, _ = trained(tiny_model, SETTINGS, TRAIN, VALID)
    for kind, loss in before.items():
        assert loss_on(model, [e for e in VALID if e.id.startswith(kind)]) < loss * 0.7, kind


def test_a_mixture_resumes_exactly(tiny_model: Path) -> None:
    require_exact_resume(tiny_model, SETTINGS.model_copy(update={"epochs": 2}), TRAIN, VALID, passes=8)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0, 100.0])
def test_tasks_are_drawn_in_proportion_to_a_power_of_their_size(temperature: float) -> None:
    counts = draws(SIZES, temperature)
    weights = {kind: size ** (1 / temperature) for kind, size in SIZES.items()}
    assert sum(counts.values()) == sum(SIZES.values())
    for kind, count in counts.items():
        assert abs(count - 42 * weights[kind] / sum(weights.values())) < 1
    settings = SETTINGS.model_copy(update={"multitask": Multitask(task="kind", temperature=temperature)})
    plan = mixed(TRAIN, settings, {})
    drawn = Counter(example.tasks["kind"] for step in plan for example in step.examples if example.tasks)
    assert drawn == {kind: 6 * count for kind, count in counts.items()}


def test_with_temperature_one_an_epoch_holds_every_row_once() -> None:
    plan = mixed(TRAIN, SETTINGS.model_copy(update={"multitask": Multitask(task="kind"), "epochs": 2}), {})
    for epoch in (1, 2):
        seen = [example.id for step in plan if step.epoch == epoch for example in step.examples]
        assert sorted(seen) == sorted(example.id for example in TRAIN)


def test_all_rows_of_a_small_task_come_before_one_comes_again() -> None:
    plan = mixed(TRAIN, SETTINGS, {})
    seen = Counter(e.id for step in plan for e in step.examples if e.id.startswith("fixed"))
    assert max(seen.values()) - min(seen.values()) <= 1


def test_a_task_of_one_row_is_drawn_too() -> None:
    assert draws({"large": 10_000, "small": 1}, 1.0)["small"] == 1


@pytest.mark.parametrize(
    ("train", "valid", "task", "problem"),
    [
        (TRAIN, VALID[:6], "kind", "no row of the task 'fixed' in the split valid"),
        (TRAIN[:27], VALID, "kind", "no row of the task 'fixed', 'same' in the split train"),
        (TRAIN, VALID, "kinds", "the row next-0 has no slice 'kinds'; did you mean 'kind'"),
    ],
)
def test_a_task_without_rows_is_named(
    tiny_model: Path, train: list[Example], valid: list[Example], task: str, problem: str
) -> None:
    settings = SETTINGS.model_copy(update={"multitask": Multitask(task=task)})
    model, technique = start_of(tiny_model, settings)
    with pytest.raises(InputError, match=problem):
        loop.run(model, train, valid, settings, technique, {})
