"""What is trained of a model: an adapter of PEFT, its head, or all of it; seeded, checked, and written.

Written are PEFT's own files, or the weights themselves; equal weights give equal bytes.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from tunegate.errors import InputError
from tunegate.files import read_json, write_json
from tunegate.models.devices import require_precision
from tunegate.models.folders import WEIGHTS, TunedRecord
from tunegate.models.heads import load_headed
from tunegate.models.labels import Labels
from tunegate.models.loading import load_base
from tunegate.models.quantisation import load_nf4, silence
from tunegate.params import Train
from tunegate.text import did_you_mean

ALL = "all-linear"
_PLACE = "params.yaml: train."


def start(base: Path, settings: Train, labels: Labels | None = None) -> Any:
    """The model that training starts from: seeded first, then loaded, with a head over `labels` if there are any, then
    given what is trained.
    """
    require_precision(settings.device, settings.precision)
    torch.manual_seed(settings.seed)
    # Once the loss is small, gradients are full of denormal numbers, on which a CPU is slow. The flag
    # is inherited by threads made later, so it is set before the first operation.
    torch.set_flush_denormal(True)
    torch.use_deterministic_algorithms(True, warn_only=settings.device == "cuda")
    # Weights that are trained stay in fp32; autocast has the pass in bf16.
    where = {"device": settings.device, "precision": "fp32" if settings.adapter == "full" else settings.precision}
    quantised = settings.adapter == "qlora"
    if labels is None:
        load = load_nf4 if quantised else load_base
        return with_adapter(load(base, **where), settings)
    if quantised:
        problem = "qlora quantises a model that answers in words, not one with a head"
        raise InputError(problem, place=f"{_PLACE}adapter", remedy="set it to lora, full or head")
    headed = load_headed(base, labels, seed=settings.seed, **where)
    return with_adapter(headed.model, settings, headed.head)


def with_adapter(base: Any, settings: Train, head: Sequence[str] = ()) -> Any:
    """The model, ready to be trained: what is trained is in fp32, everything else is frozen.

    Seed torch before: an adapter's initial weights are drawn here. Raises InputError for target modules that the model
    does not have and for a rank larger than they allow.
    """
    if settings.activation_checkpointing:
        # The other kind loses the gradients of adapters below frozen embeddings.
        base.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
    if settings.adapter == "full":
        return base.float().requires_grad_(True)
    for name in head:
        base.get_submodule(name).float()
    if settings.adapter == "head":
        base.requires_grad_(False)
        for name in head:
            base.get_submodule(name).requires_grad_(True)
        return base
    return _with_peft(base, settings, head)


def trainable(model: Any) -> dict[str, torch.nn.Parameter]:
    """The trained parameters by name, in a fixed order."""
    return dict(sorted((name, p) for name, p in model.named_parameters() if p.requires_grad))


def record_of(settings: Train, labels: Labels | None = None) -> TunedRecord:
    """What tuned.json says of a model trained with these settings."""
    of_labels = labels.record() if labels else {}
    return TunedRecord(technique=settings.technique, adapter=settings.adapter, seed=settings.seed, **of_labels)


def save_adapter(model: Any, folder: Path, base: str) -> None:
    """Write what was trained: adapter_model.safetensors and adapter_config.json, or model.safetensors and config.json.

    `base` is the folder of the base model as the configuration names it.
    """
    if hasattr(model, "peft_config"):
        _save_peft(model, folder, base)
    elif all(parameter.requires_grad for parameter in model.parameters()):
        model.save_pretrained(folder)
    else:
        _save_tensors(trainable(model), folder / WEIGHTS)
        model.config.save_pretrained(folder)


def _with_peft(base: Any, settings: Train, head: Sequence[str]) -> Any:
    silence()
    from peft import LoraConfig, get_peft_model

    targets = _targets(base, settings, head)
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        use_rslora=settings.adapter == "rslora",
        use_dora=settings.adapter == "dora",
        # PEFT's own choice, for a model without a head: the names of layers, not those of each.
        target_modules=ALL if settings.target_modules == ALL and not head else targets,
        modules_to_save=list(head) or None,
        task_type=None if head else "CAUSAL_LM",
    )
    try:
        return get_peft_model(base, config)
    except ValueError as error:
        # Some layers are read past their forward, where an adapter would do nothing (Mamba's out_proj).
        names = sorted({layer.rsplit(".", 1)[-1] for layer in _linear_layers(base, head)})
        remedy = f"name the layers it accepts, of: {', '.join(names)}; or set train.adapter to full"
        problem = f"PEFT refuses: {str(error).rpartition('] ')[2]}"
        raise InputError(problem, place=f"{_PLACE}target_modules", remedy=remedy) from None


def _targets(model: Any, settings: Train, head: Sequence[str]) -> list[str]:
    """The linear layers that get an adapter: their names as given, or the full name of each."""
    layers = _linear_layers(model, head)
    modules = settings.target_modules
    if modules == ALL:
        _require_room(layers, settings.rank)
        return list(layers)
    names = [modules] if isinstance(modules, str) else list(modules)
    for name in names:
        if not any(_is_named(layer, name) for layer in layers):
            ends = sorted({layer.rsplit(".", 1)[-1] for layer in layers})
            remedy = f"write {ALL}, or some of: {', '.join(ends)}"
            problem = f"the model has no linear layer {name!r}{did_you_mean(name, ends)}"
            raise InputError(problem, place=f"{_PLACE}target_modules", remedy=remedy)
    chosen = {layer: sizes for layer, sizes in layers.items() if any(_is_named(layer, name) for name in names)}
    _require_room(chosen, settings.rank)
    return names


def _linear_layers(model: Any, head: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Every linear layer but the output and the head: its name and what it maps to what."""
    from transformers.pytorch_utils import Conv1D

    output = model.get_output_embeddings()
    layers = {}
    for name, part in model.named_modules():
        if isinstance(part, Conv1D):
            layers[name] = (part.nx, part.nf)
        elif isinstance(part, torch.nn.Linear) and part is not output:
            layers[name] = (part.in_features, part.out_features)
    return {name: sizes for name, sizes in layers.items() if not any(_is_in(name, module) for module in head)}


def _require_room(layers: Mapping[str, tuple[int, int]], rank: int) -> None:
    if not layers:
        raise InputError("the model has no linear layer", place=f"{_PLACE}adapter", remedy="set it to full")
    name = min(layers, key=lambda layer: min(layers[layer]))
    inwards, outwards = layers[name]
    if rank > min(inwards, outwards):
        problem = f"rank {rank} is more than {name} has, which maps {inwards} to {outwards}"
        remedy = f"set it to at most {min(inwards, outwards)}, or leave that layer out of train.target_modules"
        raise InputError(problem, place=f"{_PLACE}rank", remedy=remedy)


def _is_named(layer: str, name: str) -> bool:
    return layer == name or layer.endswith(f".{name}")


def _is_in(layer: str, module: str) -> bool:
    return layer == module or layer.startswith(f"{module}.")


def _save_peft(model: Any, folder: Path, base: str) -> None:
    from peft import get_peft_model_state_dict

    _save_tensors(get_peft_model_state_dict(model), folder / "adapter_model.safetensors")
    config = model.peft_config["default"]
    config.save_pretrained(folder)
    path = folder / "adapter_config.json"
    # PEFT writes sets in an order that varies between runs.
    values = {
        key: sorted(v) if key in ("target_modules", "modules_to_save") and isinstance(v, list) else v
        for key, v in read_json(path).items()
    }
    write_json(path, json.loads(json.dumps(values | {"base_model_name_or_path": base, "inference_mode": True})))


def _save_tensors(weights: Mapping[str, torch.Tensor], path: Path) -> None:
    held = {name: tensor.detach().cpu().contiguous() for name, tensor in sorted(weights.items())}
    save_file(held, path, metadata={"format": "pt"})
