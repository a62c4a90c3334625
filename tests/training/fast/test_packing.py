import pytest
import torch
from causal_models import SETTINGS, causal_model
from rounding import rounding

from tunegate.training.fast import attention as fast_attention
from tunegate.training.fast import packing

LEAKS = {"opt": "its mask does not see position ids", "bloom": "it takes none", "mamba": "a state that runs on"}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_family_keeps_documents_apart_or_is_known_not_to(name: str) -> None:
    model = causal_model(name)
    assert packing.packs(model) is (name not in LEAKS)


def test_a_leak_is_distinguished_from_rounding() -> None:
    leaking, keeping = (packing.isolation_of(causal_model(name)) for name in ("opt", "llama"))
    assert leaking.leak > 0.01
    assert keeping.leak == 0
    assert keeping.shift < rounding()


def test_neither_a_leak_nor_a_shift_passes_for_rounding() -> None:
    assert packing.Isolation(leak=0.0, shift=1e-5, tolerance=1e-4).exact
    assert not packing.Isolation(leak=1e-3, shift=1e-5, tolerance=1e-4).exact
    assert not packing.Isolation(leak=0.0, shift=1e-3, tolerance=1e-4).exact
    assert not packing.Isolation(leak=float("nan"), shift=0.0, tolerance=1e-4).exact


@pytest.mark.parametrize("name", ["llama", "opt"])
def test_the_verdict_is_the_same_in_bf16(name: str) -> None:
    assert packing.isolation_of(causal_model(name).to(torch.bfloat16)).exact is (name == "llama")


def test_asking_changes_neither_mode_nor_random_state() -> None:
    model = causal_model("llama").train()
    model.model.layers[0].eval()
    before = torch.get_rng_state()
    packing.isolation_of(model)
    assert model.training
    assert not model.model.layers[0].training
    assert torch.equal(before, torch.get_rng_state())


def test_a_model_is_asked_once_until_it_is_another() -> None:
    model = causal_model("opt")
    assert not packing.packs(model)
    fast_attention.install(model)
    assert not packing.packs(model)
    packing.forget(model)
    assert packing.packs(model)
