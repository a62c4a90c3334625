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
from tunegate.repository.lineage import Lineage, Parts, code_digest, digest, lineage_of
from tunegate.training.techniques.rewards import files_of

CODE = ("data", "models", "training")
"""The parts of tunegate whose sources decide what the weights become."""

SECTIONS = ("base", "ingest", "validate", "prepare", "tokenize", "train")
"""The sections of params.yaml up to and including `train`."""

LIBRARIES = ("torch", "transformers", "peft", "accelerate", "bitsandbytes", "numpy", "safetensors")
"""The libraries on whose code the next step's bits depend."""

SPLIT = ("processes", "nodes", "strategy")
"""What of `compute` decides how sums of floats are split."""


def lineage(params: Params, tokens: Path, base: Path, rewards: Path, lock: Path) -> Lineage:
    """The lineage of an adapter trained on `tokens` over `base`, perhaps by `rewards`, in the environment of `lock`."""
    splits = {split: sha256_of(tokens / f"{split}.parquet") for split in ("train", "valid")}
    values = params.model_dump(by_alias=True, include=set(Params.model_fields), mode="json")
    parts = Parts(
        data=digest(splits),
        params=digest(
            {section: values[section] for section in SECTIONS} | {"compute": _split(params)} | _files(params, rewards)
        ),
        code=code_digest(CODE),
        lock=sha256_of(lock),
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
    found = files_of(params.train, rewards)
    return {"files": found} if found else {}


def _split(params: Params) -> dict[str, Any]:
    return params.compute.model_dump(include=set(SPLIT), mode="json")
