from typing import Any

import pytest
import torch
from causal_models import causal_model
from peft import LoraConfig, get_peft_model
from rounding import is_close

from tunegate.training.fast import lora as fast_lora

ROWS = torch.arange(40).view(2, 20)


def adapted(name: str = "llama", **options: Any) -> Any:
    torch.manual_seed(1)
    model = get_peft_model(causal_model(name), LoraConfig(r=4, lora_alpha=12, target_modules="all-linear", **options))
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data.normal_(0, 0.1)
    return model


def found(model: Any) -> list[torch.Tensor]:
    model.zero_grad()
    logits = model(input_ids=ROWS, use_cache=False).logits
    logits.logsumexp(-1).sum().backward()
    return [logits.detach(), *(p.grad.clone() for p in model.parameters() if p.grad is not None)]


@pytest.mark.parametrize("options", [{}, {"use_rslora": True}], ids=["lora", "rslora"])
@pytest.mark.parametrize("name", ["llama", "qwen2"])
def test_an_adapted_layer_is_peft_s_forward_and_backward(name: str, options: dict[str, Any]) -> None:
    model = adapted(name, **options)
    expected = found(model)
    assert fast_lora.install(model) == 14
    for one, other in zip(expected, found(model), strict=True):
        assert is_close(other, one, 2)


def test_in_bf16_gradients_are_as_near_to_fp32_as_peft_s() -> None:
    exact = found(adapted())
    model = adapted()
    for name, parameter in model.named_parameters():
        parameter.data = parameter.data if "lora_" in name else parameter.data.bfloat16()
    errors = []
    for install in (lambda _model: 0, fast_lora.install):
        install(model)
        with torch.autocast("cpu", torch.bfloat16):
            pairs = zip(found(model), exact, strict=True)
        errors.append(max(float((one.float() - other).norm() / other.norm()) for one, other in pairs))
    assert errors[1] < 1.5 * errors[0]
    assert errors[1] != errors[0]


@pytest.mark.parametrize("options", [{"lora_dropout": 0.1}, {"use_dora": True}], ids=["dropout", "dora"])
def test_what_is_not_plain_keeps_peft_s_forward(options: dict[str, Any]) -> None:
    assert fast_lora.install(adapted(**options)) == 0


def test_a_disabled_or_merged_adapter_is_respected() -> None:
    model = adapted()
    fast_lora.install(model)
    with torch.no_grad():
        tuned = model(input_ids=ROWS).logits
        with model.disable_adapter():
            plain = model(input_ids=ROWS).logits
        assert is_close(plain, causal_model("llama")(input_ids=ROWS).logits)
        assert not is_close(plain, tuned, 100)
        model.merge_adapter()
        assert is_close(model(input_ids=ROWS).logits, tuned, 2)


def test_taken_away_peft_s_forward_is_back() -> None:
    model = adapted()
    before = found(model)
    fast_lora.install(model)
    fast_lora.uninstall(model)
    assert all(torch.equal(one, other) for one, other in zip(before, found(model), strict=True))
