"""Recorded trajectories of the tiny model, and all the ways of training that must follow them.

`TUNEGATE_RECORD=1 pytest tests/training/test_training.py` writes trajectories.json anew; its diff shows what moved.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rounding
from accelerate.state import AcceleratorState

from tunegate.files import read_json, write_json
from tunegate.models.tokens.examples import IGNORED, Example
from tunegate.params import Train
from tunegate.training import checkpoint, loop, loss
from tunegate.training.adapter import start
from tunegate.training.fast import attention as fast_attention
from tunegate.training.fast import log_probabilities
from tunegate.training.fast import lora as fast_lora
from tunegate.training.techniques.sft import sft

RECORDED = Path(__file__).with_name("trajectories.json")
LORA: dict[str, Any] = {
    "precision": "fp32", "epochs": 2, "tokens_per_step": 96, "rank": 4, "optimizer": "sgd", "learning_rate": 0.5,
}  # fmt: skip
ADAMW: dict[str, Any] = LORA | {"optimizer": "adamw", "learning_rate": 0.01}
KINDS: dict[str, dict[str, Any]] = {
    "adamw": ADAMW,
    "lora": LORA,
    "rslora": LORA | {"adapter": "rslora"},
    "dora": LORA | {"adapter": "dora"},
    "full": {key: value for key, value in LORA.items() if key != "rank"} | {"adapter": "full"},
    "schedule": LORA | {"schedule": "linear", "weight_decay": 0.1, "max_grad_norm": 0.5},
}


def rows() -> list[Example]:
    made = []
    for number in range(24):
        ids = [1, *((7 * number + 5 * place) % 300 + 3 for place in range(4 + number % 11)), 2]
        made.append(Example(str(number), ids, [IGNORED] * 4 + ids[4:]))
    return made


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    AcceleratorState._reset_state(reset_partial_state=True)


def trajectory(tiny_model: Path, settings: dict[str, Any]) -> dict[str, list[float]]:
    how = Train(**settings)
    records = loop.run(start(tiny_model, how), rows(), rows()[:5], how, sft(), {}).records
    checkpoint.discard()
    return {name: [record[name] for record in records] for name in ("loss", "grad_norm")}


@pytest.mark.parametrize("kind", KINDS)
def test_a_trajectory_is_the_recorded_one(tiny_model: Path, kind: str) -> None:
    found = trajectory(tiny_model, KINDS[kind])
    if os.environ.get("TUNEGATE_RECORD") == "1":
        write_json(RECORDED, (read_json(RECORDED) if RECORDED.exists() else {}) | {kind: found})
    for name, values in read_json(RECORDED)[kind].items():
        if kind == "adamw":
            assert found[name] == pytest.approx(values, rel=rounding.ADAMW)
        else:
            rounding.assert_same_run(found[name], values)
    assert len(found["loss"]) > 4
    assert found["loss"][-1] < found["loss"][0]


def padded(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(loss, "packs", lambda _model: False)


def in_parts(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(log_probabilities.HELD, "cpu", 1000)


def whole_logits(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(loss, "_has_linear_logits", lambda _model, _head: False)


def masked_attention(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(fast_attention, "install", lambda _model: False)


def peft_s_layers(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(fast_lora, "install", lambda _model: 0)


@pytest.mark.parametrize(
    "change", [padded, in_parts, whole_logits, masked_attention, peft_s_layers], ids=lambda change: change.__name__
)
def test_every_part_of_the_fast_path_can_be_left_out_on_the_recorded_trajectory(
    tiny_model: Path, change: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    change(monkeypatch)
    rounding.assert_same_run(trajectory(tiny_model, LORA)["loss"], read_json(RECORDED)["lora"]["loss"])


@pytest.mark.parametrize(
    "settings",
    [{"tokens_per_batch": 20}, {"tokens_per_batch": 48}, {"activation_checkpointing": True}, {"checkpoint_every": 1}],
    ids=lambda settings: next(iter(settings)) + f" {next(iter(settings.values()))}",
)
def test_settings_that_only_cost_time_or_memory_follow_the_recorded_trajectory(
    tiny_model: Path, settings: dict[str, Any]
) -> None:
    found = trajectory(tiny_model, LORA | settings)["loss"]
    rounding.assert_same_run(found, read_json(RECORDED)["lora"]["loss"])


def test_bf16_stays_near_fp32(tiny_model: Path) -> None:
    found = trajectory(tiny_model, LORA | {"precision": "bf16"})["loss"]
    rounding.assert_same_run(found, read_json(RECORDED)["lora"]["loss"], "bf16")


OLD = {"MKL_CBWR": "COMPATIBLE"}
OLDER = OLD | {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41"}


@pytest.mark.parametrize("instructions", [OLD, OLDER], ids=["MKL only", "MKL, torch and oneDNN"])
def test_numerics_hold_with_the_instructions_of_older_processors(instructions: dict[str, str]) -> None:
    folder = Path(__file__).parent
    cases = [
        f"test_training.py::{test_a_trajectory_is_the_recorded_one.__name__}[{kind}]" for kind in ("lora", "adamw")
    ]
    cases.append("test_adapter.py::test_smaller_batches_give_the_same_step")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *(str(folder / case) for case in cases)]
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "TUNEGATE_RECORD"))
    }
    done = subprocess.run(command, env=environment | instructions, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.parametrize("name", ["ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"])
@pytest.mark.parametrize(("own", "expected"), [(None, "32"), ("7", "7")])
def test_few_compiled_kernels_are_kept_unless_the_user_has_said_how_many(
    name: str, own: str | None, expected: str
) -> None:
    # Before torch is loaded, which is when they are read.
    code = f"import os, sys; import tunegate.training; print(os.environ[{name!r}], 'torch' in sys.modules)"
    settings = {key: value for key, value in os.environ.items() if key != name} | ({name: own} if own else {})
    done = subprocess.run([sys.executable, "-c", code], env=settings, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [expected, "False"]
