"""The LoRA adapter: made from the parameters, written as PEFT reads it, byte-identical for equal weights.

Knows PEFT's file names; does not know the training loop.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from tunegate.errors import InputError
from tunegate.files import read_json, write_json
from tunegate.models.loading import load_base
from tunegate.params import Train


def start(base: Path, settings: Train) -> Any:
    """The model that training starts from: seeded first, then loaded, then given its adapter."""
    torch.manual_seed(settings.seed)
    # Once the loss is small, gradients are full of denormal numbers, on which a CPU is slow. The flag
    # is inherited by threads made later, so it is set before the first operation.
    torch.set_flush_denormal(True)
    torch.use_deterministic_algorithms(True, warn_only=settings.device == "cuda")
    return with_adapter(load_base(base, device=settings.device, precision=settings.precision), settings)


def with_adapter(base: Any, settings: Train) -> Any:
    """The base model with a new, trainable LoRA adapter in fp32; everything else is frozen.

    Seed torch before: the adapter's initial weights are drawn here.
    """
    from peft import LoraConfig, get_peft_model

    targets = settings.target_modules
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=targets if isinstance(targets, str) else list(targets),
        task_type="CAUSAL_LM",
    )
    try:
        return get_peft_model(base, config)
    except ValueError as error:
        linear = {name.rsplit(".", 1)[-1] for name, part in base.named_modules() if isinstance(part, torch.nn.Linear)}
        remedy = f"`all-linear`, or some of: {', '.join(sorted(linear))}"
        problem = f"no such module: {str(error).splitlines()[0]}"
        raise InputError(problem, place="params.yaml: train.target_modules", remedy=remedy) from None


def trainable(model: Any) -> dict[str, torch.nn.Parameter]:
    """The adapter's parameters by name, in a fixed order."""
    return dict(sorted((name, p) for name, p in model.named_parameters() if p.requires_grad))


def save_adapter(model: Any, folder: Path, base: str) -> None:
    """Write adapter_model.safetensors and adapter_config.json."""
    from peft import get_peft_model_state_dict

    weights = get_peft_model_state_dict(model)
    save_file(
        {name: tensor.detach().cpu().contiguous() for name, tensor in sorted(weights.items())},
        folder / "adapter_model.safetensors",
        metadata={"format": "pt"},
    )
    config = model.peft_config["default"]
    config.save_pretrained(folder)
    path = folder / "adapter_config.json"
    # PEFT writes sets in an order that varies between runs.
    values = {
        key: sorted(v) if key == "target_modules" and not isinstance(v, str) else v
        for key, v in read_json(path).items()
    }
    write_json(path, json.loads(json.dumps(values | {"base_model_name_or_path": base, "inference_mode": True})))
