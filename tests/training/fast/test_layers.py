from typing import Any

import pytest
import torch
from causal_models import causal_model

from tunegate.training.fast import layers as fast_layers

ROWS = torch.arange(40).view(2, 20)
LAYERS = {"llama": 5 + 2, "qwen3": 9 + 2, "mistral": 5 + 2, "gemma3_text": 0, "gpt_neox": 0, "gpt2": 0}
"""Norms and gated layers that are replaced: two norms a layer and a last one; Qwen3 has two more in each."""


def found(model: Any) -> list[torch.Tensor]:
    model.zero_grad()
    logits = model(input_ids=ROWS, use_cache=False).logits
    logits.logsumexp(-1).sum().backward()
    return [logits.detach(), *(p.grad.clone() for p in model.parameters() if p.grad is not None)]


@pytest.mark.parametrize("name", LAYERS)
def test_layers_that_keep_less_give_the_same_logits_and_gradients(name: str) -> None:
    model = causal_model(name)
    expected = found(model)
    assert fast_layers.install(model) == LAYERS[name]
    kept = found(model)
    assert torch.equal(kept[0], expected[0])
    for one, other in zip(expected, kept, strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-5 * float(one.abs().max()))


def test_in_bf16_the_forward_pass_is_the_same_to_the_bit() -> None:
    model = causal_model("llama").to(torch.bfloat16)
    with torch.no_grad():
        before = model(input_ids=ROWS).logits
        assert fast_layers.install(model) == LAYERS["llama"]
        assert torch.equal(model(input_ids=ROWS).logits, before)


def test_another_activation_stays_as_it_was() -> None:
    model = causal_model("llama")
    for layer in model.model.layers:
        layer.mlp.act_fn = torch.nn.GELU()
    assert fast_layers.install(model) == 5


def test_taken_away_transformers_forward_is_back() -> None:
    model = causal_model("llama")
    fast_layers.install(model)
    fast_layers.uninstall(model)
    assert not any("forward" in vars(module) for module in model.modules())
