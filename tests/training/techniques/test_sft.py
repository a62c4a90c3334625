from pathlib import Path

import torch
from rounding import close
from training_runs import ROWS, settings

from tunegate.models.loading import load_base
from tunegate.training.techniques.sft import sft


def test_it_learns_the_tokens_of_the_answers_and_of_every_row_in_an_epoch(tiny_model: Path) -> None:
    technique, model = sft(), load_base(tiny_model, device="cpu", precision="fp32")
    plan = technique.plan(ROWS, settings(epochs=1), {})
    assert sorted(row.id for step in plan for row in step.examples) == sorted(row.id for row in ROWS)
    batch = technique.collate(ROWS[:2])
    assert batch.units == 4, "an answer of two tokens each"
    with torch.no_grad():
        alone = [model(input_ids=torch.tensor([row.ids])).logits[0].log_softmax(-1) for row in ROWS[:2]]
        nll = -sum(of[n - 1, row.ids[n]] for of, row in zip(alone, ROWS, strict=False) for n in (3, 4))
        assert float(technique.loss(model, batch).total) == close(float(nll))
