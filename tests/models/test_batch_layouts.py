from pathlib import Path

import pytest
import torch
from tiny_models import DECODERS, ENCODERS, make_model

from tunegate.models.batch_layouts import _parts, head_logits, layout_of
from tunegate.models.heads import load_headed
from tunegate.models.labels import Labels

LABELS = Labels(("heat", "noise", "roof"))
ROWS = [[10 + (3 * n + place) % 20 for place in range(3 + (5 * n) % 9)] for n in range(7)]
WITH_HEADS = [name for name in (*ENCODERS, *DECODERS) if name != "mamba"]
EXPECTED = {"xlnet": "left"} | dict.fromkeys(("falcon", "bloom", "opt"), "right")


@pytest.mark.parametrize("name", WITH_HEADS)
def test_rows_get_together_the_logits_that_each_gets_alone(name: str, tmp_path: Path) -> None:
    model = load_headed(make_model(name, tmp_path), LABELS, device="cpu", precision="fp32", seed=7).model
    with torch.no_grad():
        alone = torch.cat([model(input_ids=torch.tensor([row])).logits for row in ROWS])
        together = head_logits(model, ROWS)
    assert together.shape == (len(ROWS), 3)
    assert torch.allclose(together, alone, atol=1e-4 * float(alone.abs().max()))
    assert layout_of(model) == EXPECTED.get(name, "right" if name in ENCODERS else "packed")


def test_where_no_padding_is_exact_only_rows_of_equal_length_go_together(tmp_path: Path) -> None:
    model = load_headed(make_model("bert", tmp_path), LABELS, device="cpu", precision="fp32", seed=7).model
    # A model that sees its padding, as one without an attention mask would.
    forward = model.forward
    model.forward = lambda input_ids, attention_mask=None: forward(input_ids=input_ids)
    with torch.no_grad():
        alone = torch.cat([model(input_ids=torch.tensor([row])).logits for row in ROWS])
        assert torch.allclose(head_logits(model, ROWS), alone, atol=1e-5)
    assert layout_of(model) == "equal"


def test_a_model_in_training_keeps_its_mode_and_the_random_state(tmp_path: Path) -> None:
    model = load_headed(make_model("bert", tmp_path), LABELS, device="cpu", precision="fp32", seed=7).model.train()
    before = torch.get_rng_state()
    layout_of(model)
    assert model.training
    assert torch.equal(torch.get_rng_state(), before)


def test_rows_of_similar_length_go_together() -> None:
    assert list(_parts([10, 3, 9, 8, 4, 7], 0.8)) == [[0, 2, 3], [5], [4], [1]]
    assert list(_parts([5, 5, 3], 1.0)) == [[0, 1], [2]]
    assert list(_parts([], 0.8)) == []
