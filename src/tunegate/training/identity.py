"""What a training run is made of: the lineage stamped into its adapter, and the fingerprint its checkpoints carry.

Reads the stage's inputs to hash them; does not train.
"""

import importlib.metadata
import platform
from pathlib import Path
from typing import Any

import torch

from tunegate.files import sha256_of
from tunegate.models.base_identity import base_parts
from tunegate.models.devices import require_device
from tunegate.models.resources import hardware
from tunegate.params import Params
from tunegate.repository.lineage import Lineage, Parts, digest, lineage_of
from tunegate.repository.stage_keys import read_key
from tunegate.training.techniques.rewards import files_of

LIBRARIES = ("torch", "transformers", "peft", "accelerate", "bitsandbytes", "numpy", "safetensors")
"""The libraries on whose code the next step's bits depend."""

SPLIT = ("processes", "nodes", "strategy")
"""What of `compute` decides how sums of floats are split."""


def lineage(params: Params, tokens: Path, base: Path, rewards: Path, key: Path) -> Lineage:
    """The lineage of an adapter trained on `tokens` over `base`, perhaps by `rewards`, by the code that `key` lists.

    Made of what DVC's key of the stage `train` is made of, and of nothing else: what DVC takes for the same run has
    the same lineage.
    """
    splits = {split: sha256_of(tokens / f"{split}.parquet") for split in ("train", "valid")}
    values = params.train.model_dump(by_alias=True, exclude_unset=True, mode="json")
    runs = read_key(key)
    parts = Parts(
        data=digest(splits),
        params=digest({"train": values, "compute": _split(params)} | _files(params, rewards)),
        code=runs.code,
        lock=runs.environment,
        **base_parts(base),
    )
    return lineage_of(parts)


def fingerprint(made_of: Lineage, params: Params, rewards: Path) -> dict[str, Any]:
    """All on which the next step's bits depend, flat, so that a difference can be named.

    Besides the lineage: the installed versions, the number of threads and the processor or GPU, because sums of floats
    depend on how they are split.
    """
    versions = {name: importlib.metadata.version(name) for name in LIBRARIES}
    require_device(params.train.device)
    cuda = params.train.device == "cuda"
    kind = f"{platform.machine()} ({torch.backends.cpu.get_cpu_capability()})"
    machine = {"machine": hardware(params.train.device) + ("" if cuda else f", {kind}")}
    settings = {f"train.{key}": value for key, value in params.train.model_dump(mode="json").items()}
    shared = {f"compute.{key}": value for key, value in _split(params).items()}
    files = {f"file {path}": sha256 for path, sha256 in files_of(params.train, rewards).items()}
    return made_of.parts.model_dump() | settings | shared | files | versions | machine


def _files(params: Params, rewards: Path) -> dict[str, Any]:
    """The files that the parameters name, where they name any: their content is part of what the parameters say."""
    files = files_of(params.train, rewards)
    return {"files": files} if files else {}


def _split(params: Params) -> dict[str, Any]:
    return params.compute.model_dump(include=set(SPLIT), mode="json")
