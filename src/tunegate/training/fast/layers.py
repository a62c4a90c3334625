"""Root-mean-square norms and gated SiLU layers that keep their inputs for the backward pass, and nothing in between.

transformers writes them as chains of small operations, each of which keeps a copy, the norms in fp32: a third of all
that training a small model holds. A layer is replaced only where it says, number for number, what the formula here
says; so no list of names is needed, and a norm that adds one to its weight stays as it was. Reads and writes nothing.
"""

import types
from typing import Any

import torch
from torch.autograd.function import once_differentiable

_EPSILON = ("variance_epsilon", "eps")
_GATED = ("gate_proj", "up_proj", "down_proj", "act_fn")


def install(model: Any) -> int:
    """Replace the forward of every such layer; return how many there are."""
    count = 0
    for module in model.modules():
        for forward, fits in ((_norm, _is_norm), (_gated, _is_gated)):
            if "forward" not in vars(module) and fits(module):
                module.forward = types.MethodType(forward, module)
                count += 1
    return count


def uninstall(model: Any) -> None:
    """Give `model` transformers' forward back."""
    for module in model.modules():
        if getattr(vars(module).get("forward"), "__func__", None) in (_norm, _gated):
            del module.forward


def _norm(layer: Any, states: torch.Tensor) -> torch.Tensor:
    return _Norm.apply(states, layer.weight, _epsilon(layer))  # type: ignore[no-any-return, no-untyped-call]


def _gated(layer: Any, states: torch.Tensor) -> torch.Tensor:
    inner = _Gated.apply(layer.gate_proj(states), layer.up_proj(states))  # type: ignore[no-untyped-call]
    return layer.down_proj(inner)  # type: ignore[no-any-return]


def _epsilon(layer: Any) -> float | None:
    return next((getattr(layer, name) for name in _EPSILON if isinstance(getattr(layer, name, None), float)), None)


def _is_norm(layer: Any) -> bool:
    weight = getattr(layer, "weight", None)
    if "RMSNorm" not in type(layer).__name__ or _epsilon(layer) is None or not isinstance(weight, torch.Tensor):
        return False
    return weight.ndim == 1 and len(list(layer.parameters())) == 1 and _says_the_same(layer, _norm, len(weight), weight)


def _is_gated(layer: Any) -> bool:
    if not all(hasattr(layer, name) for name in _GATED) or len(list(layer.children())) != len(_GATED):
        return False
    width, weight = getattr(layer.gate_proj, "in_features", None), next(layer.gate_proj.parameters())
    return isinstance(width, int) and weight.is_floating_point() and _says_the_same(layer, _gated, width, weight)


@torch.no_grad()
def _says_the_same(layer: Any, forward: Any, width: int, like: torch.Tensor) -> bool:
    training = layer.training
    made = torch.linspace(-3, 3, 2 * width, device=like.device, dtype=torch.float32).view(1, 2, width).to(like.dtype)
    layer.eval()
    same = torch.equal(forward(layer, made), type(layer).forward(layer, made))
    layer.train(training)
    return same


class _Norm(torch.autograd.Function):
    """w · x / √(mean x² + ε), the middle in fp32 (arXiv 1910.07467)."""

    @staticmethod
    def forward(ctx: Any, states: torch.Tensor, weight: torch.Tensor, epsilon: float) -> torch.Tensor:
        wide = states.float()
        scale = torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + epsilon)
        ctx.save_for_backward(states, weight, scale)
        return weight * (wide * scale).to(states.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grown: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        states, weight, scale = ctx.saved_tensors
        normed = states.float().mul(scale)
        for_weight = None
        if ctx.needs_input_grad[1]:
            for_weight = (grown * normed.to(states.dtype)).flatten(0, -2).sum(0).to(weight.dtype)
        slopes = (grown * weight).float()
        shared = (slopes * normed).mean(-1, keepdim=True)
        return slopes.sub_(normed.mul_(shared)).mul_(scale).to(states.dtype), for_weight, None


class _Gated(torch.autograd.Function):
    """silu(gate) · up (arXiv 2002.05202)."""

    @staticmethod
    def forward(ctx: Any, gate: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(gate, up)
        return torch.nn.functional.silu(gate) * up

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grown: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        gate, up = ctx.saved_tensors
        for_up = torch.nn.functional.silu(gate).mul_(grown)
        return torch.ops.aten.silu_backward(grown * up, gate), for_up
