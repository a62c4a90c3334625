from typing import Any

import pytest
import torch
from causal_models import causal_model
from rounding import is_close

from tunegate.training.fast import attention as fast_attention
from tunegate.training.fast.attention import documents

LENGTHS = (3, 70, 1, 9, 20)


def logits_and_gradients(model: Any, rows: list[torch.Tensor], lengths: tuple[int, ...]) -> list[torch.Tensor]:
    model.zero_grad()
    positions = torch.cat([torch.arange(len(row)) for row in rows])[None]
    with documents(lengths):
        logits = model(input_ids=torch.cat(rows)[None], position_ids=positions, use_cache=False).logits[0]
    # Weights that differ by place: a gradient that lands on another token would be seen.
    (logits * torch.linspace(-1, 1, logits.numel()).view_as(logits)).sum().backward()
    return [logits.detach(), *(p.grad.clone() for p in model.parameters() if p.grad is not None)]


@pytest.mark.parametrize("name", ["llama", "mistral", "gemma3_text", "gpt_neox"])
def test_attention_by_documents_is_the_masked_one_forward_and_backward(name: str) -> None:
    model = causal_model(name)
    rows = [torch.randint(0, 97, (length,), generator=torch.Generator().manual_seed(length)) for length in LENGTHS]
    plain = logits_and_gradients(model, rows, LENGTHS)
    assert fast_attention.install(model)
    fast = logits_and_gradients(model, rows, LENGTHS)
    for one, other in zip(plain, fast, strict=True):
        assert is_close(other, one, 2)


def test_short_documents_in_bf16_are_as_near_to_fp32_as_torch_s_own_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [torch.arange(length) % 97 for length in LENGTHS]
    exact = logits_and_gradients(causal_model("llama"), rows, LENGTHS)
    model = causal_model("llama").to(torch.bfloat16)
    fast_attention.install(model)
    errors = []
    for short in (128, 0):
        monkeypatch.setattr(fast_attention, "SHORT", short)
        found = logits_and_gradients(model, rows, LENGTHS)
        pairs = zip(found, exact, strict=True)
        errors.append([float((one.float() - other).norm() / other.norm()) for one, other in pairs])
    assert max(errors[0]) < 2 * max(errors[1])
    assert errors[0] != errors[1]


def test_outside_of_documents_a_model_attends_as_before() -> None:
    model = causal_model("llama")
    ids = torch.arange(10)[None]
    with torch.no_grad():
        before = model(input_ids=ids).logits
        assert fast_attention.install(model)
        assert torch.equal(model(input_ids=ids).logits, before)
        assert model.generate(input_ids=ids, max_new_tokens=2, do_sample=False).shape == (1, 12)
        fast_attention.uninstall(model)
    assert model.config._attn_implementation == "sdpa"


def test_a_model_with_an_attention_of_its_own_keeps_it() -> None:
    model = causal_model("gemma2")
    assert not fast_attention.install(model)
    assert model.config._attn_implementation == "eager"


def test_documents_of_similar_length_share_rows() -> None:
    laid = fast_attention._laid_out(LENGTHS, lambda _b, _h, query, key: key <= query, torch.device("cpu"))
    assert [(group.count, group.length, group.mask) for group in laid.groups] == [(4, 20, None), (1, 70, None)]
    assert laid.size == 150
    assert len(set(laid.places.tolist())) == sum(LENGTHS)
