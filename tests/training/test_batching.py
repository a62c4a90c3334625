from pathlib import Path
from typing import Any

import torch
from rounding import close, is_close

from tunegate.models.loading import load_base
from tunegate.models.tokens.examples import IGNORED, Example
from tunegate.params import Train
from tunegate.training.batching import collate, shuffled
from tunegate.training.loss import next_token_loss


def examples(count: int, seed: int = 0) -> list[Example]:
    generator = torch.Generator().manual_seed(seed)
    made = []
    for number in range(count):
        length = int(torch.randint(6, 30, (1,), generator=generator))
        ids = torch.randint(3, 300, (length,), generator=generator).tolist()
        made.append(Example(str(number), ids, [IGNORED] * (length - 3) + ids[-3:]))
    return made


def test_a_padding_free_batch_gives_each_example_the_logits_it_gets_alone(tiny_model: Path) -> None:
    model = load_base(tiny_model, device="cpu", precision="fp32")
    batch = collate(examples(7))
    with torch.no_grad():
        together = model(input_ids=batch.input_ids, position_ids=batch.position_ids, use_cache=False).logits[0]
        alone = [model(input_ids=torch.tensor([example.ids]), use_cache=False).logits[0] for example in examples(7)]
    assert is_close(together, torch.cat(alone))


def test_the_loss_on_trained_positions_equals_the_padded_loop_s(tiny_model: Path) -> None:
    model = load_base(tiny_model, device="cpu", precision="fp32")
    rows = examples(5)
    width = max(len(row.ids) for row in rows)
    ids = torch.tensor([row.ids + [2] * (width - len(row.ids)) for row in rows])
    mask = torch.tensor([[1] * len(row.ids) + [0] * (width - len(row.ids)) for row in rows])
    labels = torch.tensor([row.labels + [IGNORED] * (width - len(row.ids)) for row in rows])
    with torch.no_grad():
        padded = model(input_ids=ids, attention_mask=mask, labels=labels).loss
        batch = collate(rows)
        assert float(next_token_loss(model, batch).total) / batch.units == close(float(padded))


def test_the_last_token_of_an_example_predicts_nothing_of_the_next() -> None:
    batch = collate([Example("a", [10, 11], [10, 11]), Example("b", [20, 21], [20, 21])])
    assert batch.trained.tolist() == [0, 2]
    assert batch.targets.tolist() == [11, 21]
    assert batch.position_ids.tolist() == [[0, 1, 0, 1]]


def steps_of(rows: list[Example], seed: int = 3, epochs: int = 1, **state: Any) -> list[list[Example]]:
    settings = Train(tokens_per_step=64, seed=seed, epochs=epochs)
    return [list(step.examples) for step in shuffled(rows, settings, state)]


def test_an_epoch_holds_every_example_once_within_the_budget() -> None:
    rows = examples(40)
    steps = steps_of(rows)
    assert sorted(row.id for step in steps for row in step) == sorted(row.id for row in rows)
    assert all(sum(len(row.ids) for row in step) <= 64 for step in steps)
    assert len(steps) > 1


def test_an_example_longer_than_the_budget_is_a_step_of_its_own() -> None:
    long = Example("long", list(range(100)), list(range(100)))
    steps = steps_of([*examples(3), long])
    assert [long] in steps
    assert [] not in steps


def test_the_order_depends_on_seed_epoch_and_phase_only() -> None:
    rows = examples(40)
    first = steps_of(rows)
    assert first == steps_of(rows)
    assert first != steps_of(rows, seed=4)
    assert first != steps_of(rows, phase=1)
    two = steps_of(rows, epochs=2)
    assert two[: len(first)] == first
    assert two[len(first) : 2 * len(first)] != first
