from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState
from runs import ROWS, VALID, settings

from tunegate.errors import MachineError
from tunegate.training import loop
from tunegate.training.adapter import start
from tunegate.training.techniques.sft import sft


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def greedy(module: Any, *_: Any) -> None:
    if module.training:
        torch.empty(10**16)


def said(tiny_model: Path, of: Any, hook: Any = greedy) -> MachineError:
    AcceleratorState._reset_state(reset_partial_state=True)
    model = start(tiny_model, of)
    model.register_forward_pre_hook(hook)
    with pytest.raises(MachineError) as caught:
        loop.run(model, ROWS, VALID, of, sft(), {})
    return caught.value


def test_out_of_memory_says_how_large_the_batch_was_and_what_to_change(tiny_model: Path) -> None:
    error = said(tiny_model, settings())
    assert "out of memory at step 1, in which the largest batch has 30 tokens in 6 rows" in error.problem
    assert "10000000000000000" in error.problem or "allocate" in error.problem
    for advice in ("tokens_per_batch to 15", "activation_checkpointing", "precision to bf16", "adapter to qlora"):
        assert advice in error.remedy


def test_only_what_would_help_is_advised(tiny_model: Path) -> None:
    of = settings(adapter="full", precision="bf16", tokens_per_batch=8, activation_checkpointing=True)
    error = said(tiny_model, of)
    assert "5 tokens in the row" in error.problem
    assert "tokenize.max_length" in error.remedy
    assert "adapter to lora, or train.optimizer to adamw_8bit" in error.remedy
    for word in ("tokens_per_batch", "activation_checkpointing", "precision"):
        assert word not in error.remedy


def test_python_s_own_shortage_is_one_too_and_another_error_is_none(tiny_model: Path) -> None:
    def short(module: Any, *_: Any) -> None:
        if not module.training:
            return
        raise MemoryError("no room")

    assert "no room" in said(tiny_model, settings(), short).problem

    def wrong(module: Any, *_: Any) -> None:
        if not module.training:
            return
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        said(tiny_model, settings(), wrong)
