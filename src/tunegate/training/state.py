"""All that the next step depends on, as named tensors and JSON, and back: weights, what is held besides them, the
optimizer's moments, random states.

Works for every optimizer, since it depends on no names. The first process of a team has whole tensors also where each
holds a part of them.
"""

import dataclasses
from typing import Any

import torch

from tunegate.training.parallel.team import ALONE, Team, part_of, whole
from tunegate.training.selection import Selection

Tensors = dict[str, torch.Tensor]
Numbers = dict[str, dict[str, Any]]


@dataclasses.dataclass
class Trained:
    """What training changes."""

    parameters: dict[str, torch.nn.Parameter]
    optimizer: torch.optim.Optimizer
    selection: Selection

    def tensors(self, team: Team = ALONE) -> Tensors:
        """Every tensor, on the CPU. Every process of the team must call this."""
        tensors = _random_states(team)
        for name, parameter in self.parameters.items():
            tensors[f"weight/{name}"] = whole(parameter.detach())
            for kind, held in self.selection.held.items():
                tensors[f"{kind}/{name}"] = whole(held[name])
            for key, value in self.optimizer.state.get(parameter, {}).items():
                if isinstance(value, torch.Tensor):
                    tensors[f"optimizer.{key}/{name}"] = whole(value.detach())
        return _unshared(tensors)

    def numbers(self) -> Numbers:
        """What the optimizer holds for each parameter that is not a tensor."""
        return {
            name: {key: value for key, value in state.items() if not isinstance(value, torch.Tensor)}
            for name, parameter in self.parameters.items()
            if (state := self.optimizer.state.get(parameter))
        }

    @torch.no_grad()
    def restore(self, tensors: Tensors, numbers: Numbers, team: Team = ALONE) -> None:
        """Take over what `tensors` and `numbers` gave, random states included."""
        for label, tensor in tensors.items():
            kind, _, name = label.partition("/")
            if kind == "random":
                continue
            parameter = self.parameters[name]
            if kind == "weight":
                parameter.copy_(part_of(tensor, parameter))
            elif kind.startswith("optimizer."):
                self.optimizer.state[parameter][kind.removeprefix("optimizer.")] = _placed(tensor, parameter)
            else:
                self.selection.held.setdefault(kind, {})[name] = part_of(tensor, parameter)
        for name, values in numbers.items():
            self.optimizer.state[self.parameters[name]].update(values)
        torch.set_rng_state(tensors[f"random/{team.rank}"])
        if torch.cuda.is_available() and f"random/cuda.{team.rank}" in tensors:
            torch.cuda.set_rng_state(tensors[f"random/cuda.{team.rank}"])


def _placed(tensor: torch.Tensor, parameter: torch.nn.Parameter) -> torch.Tensor:
    """An optimizer's tensor where the optimizer keeps it: split like the parameter, if it has the same shape."""
    return part_of(tensor, parameter) if tensor.shape == parameter.shape else tensor.to(parameter.device)


def _random_states(team: Team) -> Tensors:
    """Those of all processes, by rank: they draw different numbers, for dropout and answers."""
    states = {f"random/{rank}": state for rank, state in enumerate(team.all_gathered(torch.get_rng_state()))}
    if torch.cuda.is_available():
        gpu_states = team.all_gathered(torch.cuda.get_rng_state())
        states |= {f"random/cuda.{rank}": state for rank, state in enumerate(gpu_states)}
    return states


def _unshared(tensors: Tensors) -> Tensors:
    """The same, contiguous and on the CPU, none sharing its memory with another, as safetensors needs it."""
    pointers: set[int] = set()
    unshared = {}
    for name, tensor in tensors.items():
        held = tensor.cpu().contiguous()
        unshared[name] = held.clone() if held.data_ptr() in pointers else held
        pointers.add(held.data_ptr())
    return unshared
