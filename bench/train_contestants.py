"""The contestants of bench/train.py: one process trains one model in one way, a step for each line on its stdin.

All of them train the same LoRA (rank 16, all linear layers) over the same base with the same rows in each step, by
AdamW with a constant rate. Ours, the plain loop and what lies between go through tunegate's own `Stepper`; TRL's
trainer does its own loop and waits after each step. A line on stdout is one step's seconds, loss and memory so far.
"""

import argparse
import dataclasses
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tunegate.models.devices import require_precision
from tunegate.models.resources import hardware
from tunegate.models.tokens.examples import IGNORED, Example, examples_from
from tunegate.params import Train
from tunegate.tables import read_parquet
from tunegate.training import loop
from tunegate.training.batching import Tokens, collate, shuffled
from tunegate.training.fast import attention as fast_attention
from tunegate.training.fast import lora as fast_lora
from tunegate.training.fast import packing
from tunegate.training.fast import path as fast_path
from tunegate.training.loss import logits_of
from tunegate.training.parallel.team import ALONE
from tunegate.training.technique import Loss, Technique
from tunegate.training.techniques.sft import sft

SHAPES = {"0.1b": (576, 1536, 30, 9, 3), "1b": (2048, 8192, 16, 32, 8), "3b": (3072, 8192, 28, 24, 8),
          "8b": (4096, 14336, 32, 32, 8)}  # fmt: skip
"""Width, inner width, layers, heads, heads of keys: those of SmolLM2-135M and Llama 3."""
RATE, RANK, ALPHA = 2e-3, 16, 32
OURS = (
    "+ padding-free",
    "+ logits where trained",
    "+ attention by documents",
    "+ LoRA as one operation",
)

Say = Callable[[dict[str, Any]], None]


@dataclasses.dataclass(frozen=True)
class Padded:
    """Rows filled up on the right to the longest."""

    ids: torch.Tensor
    mask: torch.Tensor
    labels: torch.Tensor
    rows: tuple[str, ...]

    @property
    def tokens(self) -> int:
        return int(self.mask.sum())

    @property
    def units(self) -> int:
        return int((self.labels[:, 1:] != IGNORED).sum())

    def to(self, device: str) -> "Padded":
        return Padded(self.ids.to(device), self.mask.to(device), self.labels.to(device), self.rows)


def padded(examples: Sequence[Example]) -> Padded:
    width = max(len(example.ids) for example in examples)
    rows = [(e.ids + [0] * (width - len(e.ids)), [1] * len(e.ids) + [0] * (width - len(e.ids))) for e in examples]
    labels = [example.labels + [IGNORED] * (width - len(example.labels)) for example in examples]
    tensors = (torch.tensor([ids for ids, _ in rows]), torch.tensor([mask for _, mask in rows]), torch.tensor(labels))
    return Padded(*tensors, tuple(example.id for example in examples))


def padded_loss(model: Any, batch: Padded) -> Loss:
    logits = model(input_ids=batch.ids, attention_mask=batch.mask, use_cache=False).logits[:, :-1].float()
    flat, labels = logits.flatten(0, 1), batch.labels[:, 1:].flatten()
    return Loss(torch.nn.functional.cross_entropy(flat, labels, reduction="sum", ignore_index=IGNORED))


def whole_loss(model: Any, batch: Tokens) -> Loss:
    """Padding-free, with logits at every position."""
    with fast_attention.documents(batch.lengths):
        logits = model(input_ids=batch.input_ids, position_ids=batch.position_ids, use_cache=False).logits[0].float()
    return Loss(torch.nn.functional.cross_entropy(logits[batch.trained], batch.targets, reduction="sum"))


def trained_loss(model: Any, batch: Tokens) -> Loss:
    return Loss(torch.nn.functional.cross_entropy(logits_of(model, batch), batch.targets, reduction="sum"))


def own_steps(arguments: argparse.Namespace, steps: list[list[Example]], say: Say) -> None:
    """A contestant that is ours, or on the way from the plain loop to ours."""
    name = arguments.name
    precision = "fp32" if "fp32" in name else "bf16"
    settings = Train(precision=precision, device=arguments.device, learning_rate=RATE, rank=RANK, alpha=ALPHA)
    require_precision(arguments.device, precision)
    torch.set_flush_denormal(True)
    torch.use_deterministic_algorithms(True, warn_only=arguments.device == "cuda")
    model = adapted(arguments, precision)
    losses = (whole_loss, *[trained_loss] * 3)
    technique = Technique(padded, padded_loss, shuffled)
    if name.startswith("+") and name != "+ fresh memory is not filled":
        technique = Technique(collate, losses[OURS.index(name)], shuffled)
    if name.startswith("+"):
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    if name in OURS[2:]:
        fast_attention.install(packing.core(model))
    if name in OURS[3:]:
        fast_lora.install(model)
    if name.startswith("ours"):
        fast_path.install(model)
        technique = sft()
    if "checkpointing" in name:
        packing.core(model).activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
    stepper = loop._stepper(model, settings, technique, ALONE)
    say(about(model, arguments))
    for number, rows in enumerate(steps):
        begun = begin()
        record = stepper.step(rows, number, RATE)
        say(ended(begun, rows, record["loss"], arguments))


def adapted(arguments: argparse.Namespace, precision: str) -> Any:
    from peft import LoraConfig, get_peft_model

    model = base(arguments, torch.bfloat16 if precision == "bf16" else torch.float32)
    torch.manual_seed(7)
    return get_peft_model(model, LoraConfig(**lora()))


def lora() -> dict[str, Any]:
    return {
        "r": RANK,
        "lora_alpha": ALPHA,
        "lora_dropout": 0.0,
        "target_modules": "all-linear",
        "task_type": "CAUSAL_LM",
    }


def base(arguments: argparse.Namespace, dtype: torch.dtype) -> Any:
    from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

    if not arguments.shape:
        model = AutoModelForCausalLM.from_pretrained(arguments.base, dtype=dtype)
        return model.to(arguments.device)
    width, inner, layers, heads, keys = SHAPES[arguments.shape]
    config = LlamaConfig(
        vocab_size=49152, hidden_size=width, intermediate_size=inner, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=keys, max_position_embeddings=8192, tie_word_embeddings=True,
    )  # fmt: skip
    torch.manual_seed(0)
    with torch.device(arguments.device):
        return LlamaForCausalLM._from_config(config, dtype=dtype)


def trl_steps(arguments: argparse.Namespace, steps: list[list[Example]], say: Say) -> None:
    """TRL's SFTTrainer, its steps made of the same rows."""
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoTokenizer, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    class Turns(TrainerCallback):  # type: ignore[misc]
        number, begun, loss = 0, (0.0, 0.0), float("nan")

        def on_train_begin(self, *_: Any, model: Any, **__: Any) -> None:
            say(about(model, arguments))
            self.begun = begin()

        def on_log(self, *_: Any, logs: dict[str, float], **__: Any) -> None:
            if "loss" not in logs:
                return
            say(ended(self.begun, steps[self.number], float(logs["loss"]), arguments))
            self.number += 1
            if self.number < len(steps):
                self.begun = begin()

    options = trl_options(arguments)
    rows = [{"input_ids": row.ids, "labels": row.labels} for step in steps for row in step]
    with tempfile.TemporaryDirectory() as folder:
        config = SFTConfig(
            output_dir=folder, max_steps=len(steps), learning_rate=RATE, lr_scheduler_type="constant", logging_steps=1,
            report_to="none", save_strategy="no", disable_tqdm=True, use_cpu=arguments.device == "cpu",
            **{"train_sampling_strategy": "sequential", "dataset_kwargs": {"skip_prepare_dataset": True}} | options,
        )  # fmt: skip
        trainer = SFTTrainer(
            base(arguments, torch.bfloat16), config, train_dataset=Dataset.from_list(rows),
            processing_class=AutoTokenizer.from_pretrained(arguments.base), peft_config=LoraConfig(**lora()),
            callbacks=[Turns()],
        )  # fmt: skip
        trainer.train()


def trl_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """The settings of TRL by the contestant's name. Its defaults take 8 rows at a time, and checkpoint activations."""
    kept = {"activation_checkpointing": False}
    eight, at_once = (
        {"gradient_accumulation_steps": arguments.rows // 8},
        {"per_device_train_batch_size": arguments.rows},
    )
    at_once |= kept
    return {
        "TRL, defaults": eight,
        "TRL, no checkpointing": eight | kept,
        "TRL, a step at once": at_once,
        "TRL, a step at once, sorted": at_once | {"train_sampling_strategy": "group_by_length"},
        "TRL, packed": {
            "packing": True, "max_length": 512, "per_device_train_batch_size": 1, "activation_checkpointing": False,
            "dataset_kwargs": None,
        },
        "TRL, best": at_once | {"padding_free": True, "max_length": None},
    }[arguments.name]  # fmt: skip


def begin() -> tuple[float, float]:
    """Wait for one's turn; then the clocks."""
    if not sys.stdin.readline():
        sys.exit()
    return time.perf_counter(), time.process_time()


def ended(
    begun: tuple[float, float], rows: Sequence[Example], loss: float, arguments: argparse.Namespace
) -> dict[str, Any]:
    if arguments.device == "cuda":
        torch.cuda.synchronize()
    wall, cpu = time.perf_counter() - begun[0], time.process_time() - begun[1]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    memory = torch.cuda.max_memory_allocated() if arguments.device == "cuda" else peak
    trained = sum(label != IGNORED for row in rows for label in row.labels[1:])
    tokens = sum(len(row.ids) for row in rows)
    return {"wall": wall, "cpu": cpu, "loss": loss, "memory": memory, "trained": trained, "tokens": tokens}


def about(model: Any, arguments: argparse.Namespace) -> dict[str, Any]:
    return {"hardware": hardware(arguments.device), "parameters": sum(p.numel() for p in model.parameters())}


def rows_of(arguments: argparse.Namespace) -> list[Example]:
    if not arguments.shape:
        return examples_from(read_parquet(Path(arguments.tokens) / "train.parquet"))
    random = np.random.default_rng(7)
    made = []
    for number, length in enumerate(random.integers(64, 1024, arguments.rows * arguments.steps)):
        ids = random.integers(3, 49152, length).tolist()
        made.append(Example(str(number), ids, [IGNORED] * (int(length) // 2) + ids[int(length) // 2 :]))
    return made


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("name", "tokens", "base", "device", "shape"):
        parser.add_argument(f"--{name}")
    for name in ("rows", "steps"):
        parser.add_argument(f"--{name}", type=int)
    arguments = parser.parse_args()
    # Libraries print; what the parent reads goes by another way.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(message: dict[str, Any]) -> None:
        print(json.dumps(message), file=answers, flush=True)

    rows = rows_of(arguments)
    order = np.random.default_rng(7).permutation(len(rows)).tolist()
    chosen = [[rows[i] for i in order[n * arguments.rows :][: arguments.rows]] for n in range(arguments.steps)]
    (trl_steps if arguments.name.startswith("TRL") else own_steps)(arguments, chosen, say)


if __name__ == "__main__":
    main()
