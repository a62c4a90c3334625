"""A team of processes that train one model together, and its trivial form, one process alone.

Every process has the same examples and the same plan. Each takes its part of a step's examples; sums over all parts
(units, losses, gradients) are exchanged, so that the step is the one that a single process would do, up to the order in
which floats are added.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch.distributed.tensor import DTensor, distribute_tensor

from tunegate.errors import RefusedError
from tunegate.training.technique import Item

Sized = TypeVar("Sized", bound=Item)
Part = TypeVar("Part")

_BUCKET = 1 << 24
"""Numbers that are exchanged at once: 64 MB of gradients in fp32."""


@dataclasses.dataclass(frozen=True)
class Team:
    """This process among `size` that train together. With `sharded`, each holds only a part of the weights (FSDP2)."""

    rank: int = 0
    size: int = 1
    sharded: bool = False
    device: str = "cpu"

    @property
    def is_first(self) -> bool:
        """Whether this process speaks for the team: it alone writes files and shows progress."""
        return self.rank == 0

    def share(self, items: Sequence[Sized]) -> list[Sized]:
        """This process's items of a step, in their order: every item goes to the process with the fewest tokens yet,
        the longest first. May be none.
        """
        if self.size == 1:
            return list(items)
        loads, mine = [0] * self.size, []
        for index in sorted(range(len(items)), key=lambda index: (-items[index].length, index)):
            rank = loads.index(min(loads))
            loads[rank] += items[index].length
            mine += [index] if rank == self.rank else []
        return [items[index] for index in sorted(mine)]

    def even_rounds(self, mine: Sequence[Part], filler: Callable[[], Part]) -> Iterator[tuple[Part, float]]:
        """The parts, each with weight 1. Where weights are sharded, every process must run the model equally often:
        the filler then comes with weight 0 until all have had as many.
        """
        yield from ((part, 1.0) for part in mine)
        if self.sharded:
            yield from ((filler(), 0.0) for _ in range(self.maximum(len(mine)) - len(mine)))

    def sums(self, values: Sequence[float]) -> list[float]:
        """Each value summed over the team."""
        return list(values) if self.size == 1 else self._reduced(values, dist.ReduceOp.SUM)

    def maximum(self, value: int) -> int:
        """The largest value in the team."""
        return value if self.size == 1 else int(self._reduced([value], dist.ReduceOp.MAX)[0])

    def sum_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Replace every gradient by its sum over the team. What no process has a gradient for keeps none.

        Sharded weights need nothing: their gradients were added in the backward pass.
        """
        if self.size == 1 or self.sharded:
            return
        held = list(parameters)
        has_gradient = self._reduced([float(p.grad is not None) for p in held], dist.ReduceOp.MAX)
        held = [parameter for parameter, any_ in zip(held, has_gradient, strict=True) if any_]
        for parameter in held:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        for bucket in _buckets([parameter.grad for parameter in held if parameter.grad is not None]):
            flat = torch.cat([gradient.flatten() for gradient in bucket])
            dist.all_reduce(flat)
            parts = torch.split(flat, [gradient.numel() for gradient in bucket])
            for gradient, part in zip(bucket, parts, strict=True):
                gradient.copy_(part.view_as(gradient))

    def require_agreement(self, facts: Mapping[str, Any]) -> None:
        """Raise RefusedError in every process unless all hold the same facts; the error names those that differ."""
        if self.size == 1:
            return
        digests = {name: self._digests(str(value)) for name, value in sorted(facts.items())}
        lines = [f"{name}: {', '.join(all_)}" for name, all_ in digests.items() if len(set(all_)) > 1]
        if lines:
            problem = "the processes do not train the same (hashes in their order):\n  " + "\n  ".join(lines)
            remedy = "give every node the same commit, the same data/tokens and models/base, and the same environment"
            raise RefusedError(problem, place="train", remedy=remedy)

    def seed_by_rank(self, seed: int) -> None:
        """Let this process draw random numbers of its own, for dropout and answers. One alone draws as it did."""
        if self.size > 1:
            torch.manual_seed(seed * self.size + self.rank)

    def broadcast(self, value: Any) -> Any:
        """The first process's value, which is JSON, in every process."""
        if self.size == 1:
            return value
        text = torch.tensor(list(json.dumps(value).encode()), dtype=torch.uint8)
        length = self.maximum(len(text) if self.is_first else 0)
        held = text if self.is_first else torch.empty(length, dtype=torch.uint8)
        held = held.to(self.device)
        dist.broadcast(held, 0)
        return json.loads(bytes(held.tolist()))

    def all_gathered(self, tensor: torch.Tensor) -> list[torch.Tensor]:
        """A tensor of each process, all of one shape, in the order of their ranks, on the CPU."""
        if self.size == 1:
            return [tensor]
        held = tensor.to(self.device)
        gathered = [torch.empty_like(held) for _ in range(self.size)]
        dist.all_gather(gathered, held)
        return [each.cpu() for each in gathered]

    def _digests(self, text: str) -> list[str]:
        digest = torch.tensor(list(hashlib.sha256(text.encode()).digest()), dtype=torch.uint8)
        return [bytes(each.tolist()).hex()[:12] for each in self.all_gathered(digest)]

    def _reduced(self, values: Sequence[float], how: Any) -> list[float]:
        held = torch.tensor(list(values), dtype=torch.float64, device=self.device)
        dist.all_reduce(held, how)
        return held.tolist()


ALONE = Team()
"""One process."""


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """All of a tensor, of which this process may hold a part. Every process of a team must call this."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def part_of(tensor: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """The part of a whole tensor that this process holds of `like`, on the same device."""
    tensor = tensor.to(like.device)
    return distribute_tensor(tensor, like.device_mesh, like.placements) if isinstance(like, DTensor) else tensor


def _buckets(gradients: Iterable[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    bucket: list[torch.Tensor] = []
    for gradient in gradients:
        if bucket and (bucket[0].dtype != gradient.dtype or sum(g.numel() for g in bucket) >= _BUCKET):
            yield bucket
            bucket = []
        bucket.append(gradient)
    if bucket:
        yield bucket
