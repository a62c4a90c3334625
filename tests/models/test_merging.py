from pathlib import Path
from typing import Any

import pytest
import torch

from tunegate.errors import RefusedError
from tunegate.models.folders import TunedRecord
from tunegate.models.loading import load_base
from tunegate.models.merging import merge
from tunegate.models.tokens.examples import Example
from tunegate.models.tuned import TunedModel, tuned_from_peft
from tunegate.params import Train
from tunegate.training.adapter import trainable, with_adapter

EXAMPLES = [Example("a", [1, 5, 9, 30, 2], [-100] * 5), Example("b", [1, 40, 41, 42, 43, 44, 2], [-100] * 7)]


def tuned(tiny_model: Path) -> TunedModel:
    torch.manual_seed(0)
    model = with_adapter(load_base(tiny_model, device="cpu", precision="fp32"), Train())
    for parameter in trainable(model).values():
        torch.nn.init.normal_(parameter.data, std=0.1)
    return tuned_from_peft(model.eval(), TunedRecord())


def test_a_merged_model_is_the_same_model(tiny_model: Path) -> None:
    merged, proof = merge(tuned(tiny_model), EXAMPLES, tolerance=1e-3)
    assert not any("lora" in name for name, _ in merged.named_parameters())
    assert 0 < proof["difference"] < 1e-4
    assert proof["agreement"] == 1.0
    assert proof["tokens"] == 12


def test_a_merge_that_gives_no_number_is_refused(tiny_model: Path) -> None:
    model = tuned(tiny_model)
    calls = iter(range(100))

    def spoil(_module: Any, _inputs: Any, output: Any) -> Any:
        return output * float("nan") if next(calls) == 3 else output

    model.model.base_model.model.lm_head.register_forward_hook(spoil)
    with pytest.raises(RefusedError, match="differ by nan"):
        merge(model, EXAMPLES, tolerance=1e-3)


def test_a_merge_beyond_the_tolerance_is_refused(tiny_model: Path) -> None:
    with pytest.raises(RefusedError, match="the tolerance is 1e-12"):
        merge(tuned(tiny_model), EXAMPLES, tolerance=1e-12)
