import re
import runpy
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState
from causal_models import causal_model
from rounding import assert_same_run

from tunegate.files import read_text
from tunegate.models.tokens.examples import Example
from tunegate.params import Train
from tunegate.training import checkpoint, loop, loss
from tunegate.training.adapter import start
from tunegate.training.fast import attention as fast_attention
from tunegate.training.fast import packing
from tunegate.training.fast import path as fast_path
from tunegate.training.techniques.sft import sft

ROOT = Path(__file__).resolve().parents[3]
ROWS = [
    Example(str(n), [1, *range(10, 12 + n % 9), 30 + n % 3, 2], [-100] * (3 + n % 9) + [30 + n % 3, 2])
    for n in range(24)
]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    AcceleratorState._reset_state(reset_partial_state=True)


def patched(model: Any) -> int:
    return sum("forward" in vars(module) for module in model.modules())


def losses(tiny_model: Path, settings: Train) -> list[float]:
    found = loop.run(start(tiny_model, settings), ROWS, ROWS[:3], settings, sft(), {}).records
    checkpoint.discard()
    return [record["loss"] for record in found]


def test_the_fast_path_learns_what_the_slow_one_learns(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Train(precision="fp32", epochs=2, tokens_per_step=64, rank=4, optimizer="sgd", learning_rate=0.5)
    fast = losses(tiny_model, settings)
    monkeypatch.setattr(fast_path, "install", lambda model: None)
    monkeypatch.setattr(loss, "packs", lambda model: False)
    assert_same_run(fast, losses(tiny_model, settings))


@pytest.mark.parametrize("name", ["llama", "opt", "gemma2", "bloom"])
def test_taken_away_a_model_is_as_it_was(name: str) -> None:
    model = causal_model(name)
    ids = torch.arange(9)[None]
    before, attention = model(input_ids=ids).logits, model.config._attn_implementation
    fast_path.install(model)
    fast_path.uninstall(model)
    assert patched(model) == 0
    assert model.config._attn_implementation == attention
    assert torch.equal(model(input_ids=ids).logits, before)


def test_a_model_whose_documents_leak_even_so_keeps_its_attention(monkeypatch: pytest.MonkeyPatch) -> None:
    model = causal_model("llama")
    exact = packing.packs
    monkeypatch.setattr(packing, "packs", lambda m: m.config._attn_implementation != fast_attention.NAME and exact(m))
    fast_path.install(model)
    assert model.config._attn_implementation == "sdpa"


def test_after_training_nothing_of_the_fast_path_is_left(tiny_model: Path) -> None:
    settings = Train(precision="fp32", epochs=1, tokens_per_step=64, rank=4)
    model = start(tiny_model, settings)
    loop.run(model, ROWS, ROWS[:3], settings, sft(), {})
    assert patched(model) == 0
    assert packing.core(model).config._attn_implementation == "sdpa"


def test_a_model_with_a_head_keeps_its_attention() -> None:
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_config(causal_model("llama").config)
    fast_path.install(model)
    assert model.config._attn_implementation == "sdpa"


def test_the_commands_of_the_page_are_the_bench_s(monkeypatch: pytest.MonkeyPatch) -> None:
    text = read_text(ROOT / "docs" / "training-speed.md")
    bench = runpy.run_path(str(ROOT / "bench" / "train.py"))
    commands = re.findall(r"python (bench/train\.py[^`\n]*)", text)
    assert len(commands) >= 4
    for command in commands:
        monkeypatch.setattr("sys.argv", shlex.split(command))
        assert bench["parsed"]().contest in bench["CONTESTS"]


def test_the_page_s_table_of_parts_names_every_module_of_the_fast_path() -> None:
    text = read_text(ROOT / "docs" / "training-speed.md")
    modules = sorted(path.stem for path in (ROOT / "src/tunegate/training/fast").glob("[a-z]*.py"))
    assert len(modules) > 3
    for module in modules:
        assert f"`fast.{module}`" in text, module
