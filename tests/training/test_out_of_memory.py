import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState
from training_runs import ROWS, VALID, settings

from tunegate.errors import MachineError
from tunegate.training import loop
from tunegate.training.adapter import start
from tunegate.training.out_of_memory import explained
from tunegate.training.techniques.sft import sft

MODEL = torch.nn.Linear(1, 1)


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def greedy(module: Any, *_: Any) -> None:
    if module.training:
        torch.empty(10**16)


def shortage(tiny_model: Path, of: Any, hook: Any = greedy, technique: Any = None) -> MachineError:
    AcceleratorState._reset_state(reset_partial_state=True)
    model = start(tiny_model, of)
    model.register_forward_pre_hook(hook)
    with pytest.raises(MachineError) as caught:
        loop.run(model, ROWS, VALID, of, technique or sft(), {})
    return caught.value


def test_out_of_memory_says_how_large_the_batch_was_and_what_to_change(tiny_model: Path) -> None:
    error = shortage(tiny_model, settings())
    assert "out of memory at step 1, in which the largest batch has 30 tokens in 6 rows" in error.problem
    assert "10000000000000000" in error.problem or "allocate" in error.problem
    assert re.search(r"needed before any batch: [\d.e-]+ GB \(weights [\d.e-]+ GB, gradients ", error.problem)
    assert re.search(r"available: [\d.]+ GB free of [\d.]+ GB for this process", error.problem)
    assert "`tunegate preflight`" in error.remedy
    for advice in ("tokens_per_batch to 15", "activation_checkpointing", "precision to bf16", "adapter to qlora"):
        assert advice in error.remedy


def test_only_what_would_help_is_advised(tiny_model: Path) -> None:
    of = settings(adapter="full", precision="bf16", tokens_per_batch=8, activation_checkpointing=True)
    error = shortage(tiny_model, of)
    assert "5 tokens in the row" in error.problem
    assert "tokenize.max_length" in error.remedy
    assert "adapter to lora; or set train.optimizer to adamw_8bit" in error.remedy
    for word in ("tokens_per_batch", "activation_checkpointing", "precision"):
        assert word not in error.remedy


def test_python_s_own_shortage_is_explained_and_another_error_is_not(tiny_model: Path) -> None:
    def short(module: Any, *_: Any) -> None:
        if not module.training:
            return
        raise MemoryError("no room")

    assert "no room" in shortage(tiny_model, settings(), short).problem

    def wrong(module: Any, *_: Any) -> None:
        if not module.training:
            return
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        shortage(tiny_model, settings(), wrong)


def in_evaluation(module: Any, *_: Any) -> None:
    if not module.training:
        raise MemoryError


def no_room(*_: Any) -> Any:
    raise torch.OutOfMemoryError("no room")


def idle(*_: Any) -> None:
    pass


@pytest.mark.parametrize(
    ("changes", "hook", "when"),
    [
        ({"prepare": no_room}, idle, "at step 1"),
        ({"begin": no_room}, idle, "before phase 1"),
        ({}, in_evaluation, "on the validation rows"),
    ],
)
def test_a_shortage_outside_of_the_steps_is_explained_as_well(
    tiny_model: Path, changes: dict[str, Any], hook: Any, when: str
) -> None:
    error = shortage(tiny_model, settings(), hook, dataclasses.replace(sft(), **changes))
    assert error.problem.startswith(f"out of memory {when}: ")
    assert "tokens_per_batch to 16" in error.remedy


@pytest.mark.parametrize(
    ("of", "sharded", "not_said"),
    [
        (settings(adapter="full", optimizer="adamw_8bit"), False, ("adamw_8bit",)),
        (settings(adapter="full", optimizer="sgd"), False, ("adamw_8bit",)),
        (settings(adapter="full"), True, ("adamw_8bit",)),
        (settings(), True, ("qlora",)),
        (settings(technique="classify"), False, ("qlora",)),
        (settings(technique="fewshot"), False, ("tokens_per_batch",)),
        (settings(technique="classify", adapter="head"), False, ("qlora", "activation_checkpointing", "to lora")),
    ],
)
def test_what_is_set_already_or_would_be_refused_is_not_advised(
    of: Any, sharded: bool, not_said: tuple[str, ...]
) -> None:
    with pytest.raises(MachineError) as caught, explained(MODEL, of, "here", sharded=sharded):
        raise MemoryError
    assert not [word for word in not_said if word in caught.value.remedy]


def test_no_batch_smaller_than_the_longest_row_is_advised() -> None:
    batches = [sft().collate(ROWS[:4])]
    with pytest.raises(MachineError) as caught, explained(MODEL, settings(), "here", batches, longest=15):
        raise MemoryError
    assert "20 tokens in 4 rows" in caught.value.problem
    assert "tokens_per_batch to 15" in caught.value.remedy
