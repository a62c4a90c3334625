"""Loading a tokenizer and a base model from the pipeline's folders, always offline and without pickle."""

from pathlib import Path
from typing import Any

from tunegate.models.devices import placed, require_device

_LOCAL = {"local_files_only": True, "trust_remote_code": False}


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer of a base model's folder; pads on the left, as generation needs."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left", **_LOCAL)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_base(folder: Path, *, device: str, precision: str) -> Any:
    """The base model in fp32 or bf16 on a device, in evaluation mode. Raises MachineError without that device."""
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    require_device(device)
    logging.disable_progress_bar()
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    return placed(AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, use_safetensors=True, **_LOCAL), device)
