"""Loading a tokenizer, a base model and an adapter from the pipeline's folders, always offline and without pickle.

Knows the folders' layout; does not know which stage asks.
"""

from pathlib import Path
from typing import Any

from tunegate.errors import InputError, MachineError, RefusedError
from tunegate.files import read_json, sha256_of
from tunegate.models.acquire import PROVENANCE
from tunegate.models.companions import TEACHER
from tunegate.models.template import TEMPLATE
from tunegate.repository.lineage import digest, read_lineage

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer of a base model's folder; pads on the left, as generation needs."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left", trust_remote_code=False)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_base(folder: Path, *, device: str, precision: str) -> Any:
    """The base model in fp32 or bf16 on a device, in evaluation mode."""
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    require_device(device)
    logging.disable_progress_bar()
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, use_safetensors=True, trust_remote_code=False)
    return model.to(device).eval()


def has_device(device: str) -> bool:
    """Whether this machine has the device."""
    import torch

    return device != "cuda" or torch.cuda.is_available()


def require_device(device: str) -> None:
    """Raise MachineError unless this machine has the device."""
    if not has_device(device):
        remedy = "set device to cpu in params.yaml, run on a machine with a GPU, or `dvc pull` what one has computed"
        raise MachineError("device is cuda and this machine has no usable GPU", place="params.yaml", remedy=remedy)


def attach_adapter(model: Any, folder: Path, base_folder: Path) -> Any:
    """The base model with the adapter in `folder` attached.

    Raises RefusedError when the adapter was trained on another base, tokenizer or chat template.
    """
    from peft import PeftModel

    lineage = read_lineage(folder)
    for part, found in base_parts(base_folder).items():
        if getattr(lineage.parts, part) != found:
            problem = f"the adapter was trained on another {part} than the one in {base_folder}"
            raise RefusedError(problem, place=str(folder), remedy="run `dvc repro`, or `dvc checkout` for both")
    return PeftModel.from_pretrained(model, folder).eval()


def base_parts(folder: Path) -> dict[str, str]:
    """The lineage parts that a base model's folder holds: sha256 of weights, template and tokenizer.

    The teacher's weights are among the weights: they decide as well what becomes of the model.
    """
    weights = _weights(folder)
    if (folder / TEACHER).is_dir():
        weights |= {f"{TEACHER}/{name}": sha256 for name, sha256 in _weights(folder / TEACHER).items()}
    return {
        "base": digest(weights),
        "template": sha256_of(folder / TEMPLATE),
        "tokenizer": digest({name: sha256_of(folder / name) for name in TOKENIZER_FILES}),
    }


def _weights(folder: Path) -> dict[str, str]:
    names = read_json(folder / PROVENANCE)["files"]
    found = {name: sha256_of(folder / name) for name in names if name.endswith(".safetensors")}
    if not found:
        raise InputError("no safetensors files", place=str(folder), remedy="run `dvc repro base`")
    return found
