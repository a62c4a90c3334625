"""A linear layer with its LoRA adapter as one differentiable operation.

PEFT's own forward casts the input to fp32 for the adapter and back, keeps a copy of it for every layer that reads it,
adds two outputs, and asks for gradients of each part by itself. Here the adapter is added into the product in place,
forward and backward, and the input is kept once. The same sums in another order: equal in fp32 up to rounding, and
rounded once less in bf16. Where a layer is anything else (dropout, DoRA, a quantised base, several adapters), PEFT's
forward stays.
"""

import types
from typing import Any

import torch
from torch.autograd.function import once_differentiable


def install(model: Any) -> int:
    """Replace the forward of every plain linear LoRA layer of `model`; return how many there are."""
    layers = [module for module in model.modules() if _is_plain(module)]
    for layer in layers:
        layer.forward = types.MethodType(_forward, layer)
    return len(layers)


def uninstall(model: Any) -> None:
    """Give `model` PEFT's forward back."""
    for module in model.modules():
        if getattr(vars(module).get("forward"), "__func__", None) is _forward:
            del module.forward


def _is_plain(module: Any) -> bool:
    from peft.tuners.lora import Linear

    if type(module) is not Linear or type(module.base_layer) is not torch.nn.Linear or len(module.lora_A) != 1:
        return False
    [name] = module.lora_A
    parts = (module.lora_A[name], module.lora_B[name])
    return (
        not module.lora_variant
        and isinstance(module.lora_dropout[name], torch.nn.Identity)
        and all(type(part) is torch.nn.Linear and part.bias is None for part in parts)
        and not any(parameter.requires_grad for parameter in module.base_layer.parameters())
    )


def _forward(layer: Any, states: torch.Tensor, *others: Any, **options: Any) -> torch.Tensor:
    [name] = layer.lora_A
    base = layer.base_layer
    plain = not layer.disable_adapters and not layer.merged and list(layer.active_adapters) == [name]
    if not plain or others or options or states.dtype != base.weight.dtype:
        return type(layer).forward(layer, states, *others, **options)  # type: ignore[no-any-return]
    down, up = layer.lora_A[name].weight, layer.lora_B[name].weight
    flat = states.reshape(-1, states.shape[-1])
    output = _Adapted.apply(flat, base.weight, base.bias, down, up, layer.scaling[name])  # type: ignore[no-untyped-call]
    # Outside of it: what an operation of one's own gives may be changed in place (Longformer does) unless it is a view.
    return output.view(*states.shape[:-1], -1)  # type: ignore[no-any-return]


class _Adapted(torch.autograd.Function):
    """x Wᵀ + b + s · (x Aᵀ) Bᵀ, with gradients of x, A and B."""

    @staticmethod
    def forward(  # noqa: PLR0913, PLR0917 (torch's: one argument per input)
        ctx: Any,
        states: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        down: torch.Tensor,
        up: torch.Tensor,
        scale: float,
    ) -> torch.Tensor:
        narrow = states @ down.to(states.dtype).t()
        output = torch.nn.functional.linear(states, weight, bias)
        output.addmm_(narrow, up.to(states.dtype).t(), alpha=scale)
        ctx.save_for_backward(states, narrow, weight, down, up)
        ctx.scale = scale
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        states, narrow, weight, down, up = ctx.saved_tensors
        grad = grad_output.contiguous()
        grad_narrow = (grad @ up.to(grad.dtype)).mul_(ctx.scale)
        grad_states = None
        if ctx.needs_input_grad[0]:
            grad_states = (grad @ weight).addmm_(grad_narrow, down.to(grad.dtype))
        grad_down = (grad_narrow.t() @ states).to(down.dtype)
        grad_up = (grad.t() @ narrow).to(up.dtype).mul_(ctx.scale)
        return grad_states, None, None, grad_down, grad_up, None
