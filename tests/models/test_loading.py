from pathlib import Path

import pytest
import torch

from tunegate.models.loading import load_base, load_tokenizer


def test_a_tokenizer_pads_on_the_left_by_a_token_that_it_has(tiny_model: Path) -> None:
    tokenizer = load_tokenizer(tiny_model)
    assert tokenizer.padding_side == "left"
    assert tokenizer.pad_token_id is not None


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_a_base_is_loaded_in_its_precision_aligned_and_for_evaluation(
    tiny_model: Path, precision: str, dtype: torch.dtype
) -> None:
    model = load_base(tiny_model, device="cpu", precision=precision)
    assert not model.training
    assert {weight.dtype for weight in model.parameters()} == {dtype}
    assert not any(weight.data_ptr() % 64 for weight in model.parameters())
