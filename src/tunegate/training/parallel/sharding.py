"""FSDP2 through accelerate: each process of a team holds a part of every weight (arXiv 2304.11277)."""

from typing import Any

import torch
from accelerate import Accelerator
from torch.distributed.tensor import DTensor

from tunegate.errors import InputError
from tunegate.params import Train
from tunegate.training.parallel.team import Team, whole


def require(settings: Train, team: Team) -> None:
    """Raise InputError when the settings do not allow weights to be split between processes."""
    faults = {
        f"technique {settings.technique} runs the model as it prepares a step, each process as often as it needs": (
            _prepares(settings)
        ),
        "optimizer adamw_8bit needs whole weights": settings.optimizer == "adamw_8bit",
        "adapter qlora needs whole weights": settings.adapter == "qlora",
    }
    if team.sharded and (problem := next((fault for fault, is_so in faults.items() if is_so), "")):
        raise InputError(problem, place="params.yaml: compute.strategy", remedy="use ddp, or change the other")


def _prepares(settings: Train) -> bool:
    on_policy = settings.technique == "distill" and settings.distill.on_policy > 0
    kto = settings.technique == "preference" and settings.preference.loss == "kto"
    return on_policy or kto or settings.technique == "reinforce"


def shard(model: Any, accelerator: Accelerator) -> Any:
    """The model with its weights split over all processes, one group per layer. Names of parameters stay."""
    from accelerate.utils import FullyShardedDataParallelPlugin, fsdp2_prepare_model
    from torch.distributed.fsdp import MixedPrecisionPolicy

    plugin = FullyShardedDataParallelPlugin(
        fsdp_version=2,
        auto_wrap_policy="transformer_based_wrap",
        # Autocast chooses the precision of each operation, as it does in one process; gradients are added in fp32.
        mixed_precision_policy=MixedPrecisionPolicy(),
        cpu_ram_efficient_loading=False,
    )
    # accelerate takes the plugin by itself only on GPUs.
    accelerator.state.fsdp_plugin = plugin
    # The base model inside of PEFT's is the one that is run, by PEFT's and also without it.
    core = model.get_base_model() if hasattr(model, "peft_config") else model
    # Also the last layers, which accelerate leaves whole after a forward pass: weights may change before the next one.
    fsdp2_prepare_model(accelerator, core).set_reshard_after_forward(True)
    return model


def unshard(model: Any, team: Team) -> None:
    """Give the first process the whole of what it will write: the adapter's weights, or the model's without one.

    It can then be written as if one process had trained it, but not run. Every process must call this.
    """
    if not team.sharded:
        return
    full_parameters: dict[int, Any] = {}
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if isinstance(parameter, DTensor) and (parameter.requires_grad or not hasattr(model, "peft_config")):
                if id(parameter) not in full_parameters:
                    full = whole(parameter.detach()).cpu()
                    full_parameters[id(parameter)] = torch.nn.Parameter(full, requires_grad=parameter.requires_grad)
                if team.is_first:
                    module._parameters[name] = full_parameters[id(parameter)]
                else:
                    full_parameters[id(parameter)] = parameter
