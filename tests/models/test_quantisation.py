from pathlib import Path

import pytest
import torch
from training_runs import logits

from tunegate.models.loading import load_base
from tunegate.models.quantisation import dequantised, load_nf4, quantised_layers
from tunegate.params import Train
from tunegate.training.adapter import start


def nf4(base: Path, precision: str = "fp32") -> object:
    return load_nf4(base, device="cpu", precision=precision)


def test_the_quantised_weights_are_the_same_in_every_precision(tiny_model: Path) -> None:
    one, other = (quantised_layers(nf4(tiny_model, precision)) for precision in ("fp32", "bf16"))
    assert len(one) == 14
    for mine, theirs in zip(one, other, strict=True):
        assert torch.equal(mine.weight.data, theirs.weight.data)
        assert torch.equal(mine.weight.quant_state.absmax, theirs.weight.quant_state.absmax)


def test_a_quantised_model_is_near_its_base_and_not_it(tiny_model: Path) -> None:
    base = logits(load_base(tiny_model, device="cpu", precision="fp32"))
    error = (logits(nf4(tiny_model)) - base).norm() / base.norm()
    assert 0.01 < error < 0.5


def test_a_dequantised_model_says_exactly_what_the_quantised_one_says(tiny_model: Path) -> None:
    model = nf4(tiny_model)
    before = logits(model)
    plain = dequantised(model)
    assert not quantised_layers(plain)
    assert torch.equal(logits(plain), before)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_evaluating_a_quantised_model_changes_neither_it_nor_its_gradients(tiny_model: Path, precision: str) -> None:
    def gradient(*, evaluated: bool) -> torch.Tensor:
        model = start(tiny_model, Train(adapter="qlora", rank=4, precision=precision))  # type: ignore[arg-type]
        if evaluated:
            logits(model)
        model.train()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            model(input_ids=torch.tensor([[1, 40, 50, 60]]), use_cache=False).logits.float().logsumexp(
                -1
            ).sum().backward()
        return next(p.grad for name, p in model.named_parameters() if "layers.0.mlp.up_proj.lora_B" in name)

    assert gradient(evaluated=False).abs().sum() > 0
    assert torch.equal(gradient(evaluated=False), gradient(evaluated=True))
