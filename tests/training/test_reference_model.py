from pathlib import Path

import pytest
import torch
from training_runs import logits, settings

from tunegate.models.resources import bytes_of
from tunegate.training.adapter import start, trainable
from tunegate.training.reference_model import bytes_of_copy, evaluating, reference_of


@pytest.mark.parametrize("adapter", ["lora", "full"])
def test_the_reference_stays_what_the_model_was(tiny_model: Path, adapter: str) -> None:
    model = start(tiny_model, settings(adapter=adapter))
    before, reference = logits(model), reference_of(model)
    model.train()
    with torch.no_grad():
        for parameter in trainable(model).values():
            parameter.add_(0.05)
    with reference() as opened:
        assert (opened.training, torch.is_grad_enabled()) == (False, False)
        assert torch.equal(logits(opened), before)
    assert (model.training, torch.is_grad_enabled()) == (True, True)
    assert not torch.equal(logits(model), before)


def test_only_a_model_without_an_adapter_is_copied(tiny_model: Path) -> None:
    adapted, full = (start(tiny_model, settings(adapter=adapter)) for adapter in ("lora", "full"))
    assert (bytes_of_copy(adapted), bytes_of_copy(full)) == (0, bytes_of(full))


@pytest.mark.parametrize("training", [True, False])
def test_after_an_evaluation_that_fails_the_model_is_in_its_mode_again(training: bool) -> None:
    model = torch.nn.Dropout().train(training)
    with pytest.raises(KeyError), evaluating(model):
        assert not model.training
        raise KeyError
    assert model.training is training
