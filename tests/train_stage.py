"""What the stage `train` reads, on the tiny model, and the stage as a process."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from tunegate.files import read_yaml, sha256_of, write_json, write_text, write_yaml
from tunegate.models.folders import PROVENANCE
from tunegate.models.tokens.examples import TOKENS, Example, columns_of
from tunegate.tables import parquet_writer

ROOT = Path(__file__).resolve().parents[1]
STAGE = ("train", "params.yaml", "tokens", "base", "rewards", "lock.txt", "adapter", "trajectory.csv", "cost.json")
PATIENCE_SECONDS = 900
ROWS = [Example(str(n), [1, 10 + n, 20 + n, 30 + n % 3, 2], [-100, -100, -100, 30 + n % 3, 2]) for n in range(24)]


def make_train_inputs(base: Path) -> None:
    """Fill the working directory; params.yaml is for `set_params`."""
    shutil.copytree(base, "base")
    write_json(Path("base", PROVENANCE), {"files": {file.name: sha256_of(file) for file in Path("base").iterdir()}})
    for split, rows in {"train": ROWS, "valid": ROWS[:6]}.items():
        with parquet_writer(Path(f"tokens/{split}.parquet"), TOKENS) as write:
            write(pa.table(columns_of(rows), schema=TOKENS))
    write_text(Path("lock.txt"), "")


def set_params(compute: Mapping[str, Any], **train: Any) -> None:
    params = read_yaml(ROOT / "params.yaml")
    params["compute"] |= compute
    params["train"] |= {"precision": "fp32", "epochs": 2, "tokens_per_step": 24, "rank": 4, "dropout": 0.1}
    params["train"] |= {"learning_rate": 0.01, "checkpoint_every": 2} | train
    write_yaml(Path("params.yaml"), params)


def start(**environment: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tunegate.stages", *STAGE]
    return subprocess.Popen(command, env=os.environ | environment, stderr=subprocess.PIPE, text=True)


def outcome_of(process: "subprocess.Popen[str]") -> tuple[int, str]:
    _, stderr = process.communicate(timeout=PATIENCE_SECONDS)
    return process.returncode, stderr


def wait_for_checkpoint(process: "subprocess.Popen[str]") -> None:
    """Until the run of `process` has saved one; a hung one fails the test."""
    limit = time.monotonic() + PATIENCE_SECONDS
    while not list(Path(".tunegate/checkpoint").rglob("run.json")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < limit, "no checkpoint"
        time.sleep(0.05)
