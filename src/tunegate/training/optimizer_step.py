"""One optimizer step: a step's examples in batches that fit, their gradients added up, clipped and applied.

The loss is a mean over all units of the step (trained tokens, rows or pairs), however many batches it takes: batches of
another size give the same step, and so do several processes that share its examples.
"""

import contextlib
import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from accelerate import Accelerator

from tunegate.models.tokens.examples import Example
from tunegate.params import Train
from tunegate.text import listed
from tunegate.training import divergence
from tunegate.training.batching import grouped
from tunegate.training.out_of_memory import explained
from tunegate.training.parallel.team import ALONE, Team, whole
from tunegate.training.technique import Batch, Loss, Step, Technique

Record = dict[str, Any]

_NAMES = {"loss": "the loss", "grad_norm": "the gradient's norm"}


@dataclasses.dataclass
class Stepper:
    """What one step needs."""

    model: Any
    parameters: dict[str, torch.nn.Parameter]
    optimizer: torch.optim.Optimizer
    accelerator: Accelerator
    settings: Train
    technique: Technique
    team: Team = ALONE

    def step(self, examples: Sequence[Example], step: int, rate: float) -> Record:
        """Do step `step` (from 0) at a learning rate; return what it recorded.

        Raises RefusedError, before the weights change, when the loss or the gradient is not finite; MachineError when
        memory runs out.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        when = f"at step {step + 1}"
        with self.explained(when):
            items = self._items(examples, step)
            batches = self.batches(items)
        with self.explained(when, batches, items):
            return self._updated(examples, items, batches, step) | {"learning_rate": rate}

    def explained(
        self, when: str, batches: Sequence[Batch] = (), items: Sequence[Any] = ()
    ) -> contextlib.AbstractContextManager[None]:
        """While open, a shortage of memory is a MachineError with the numbers of the largest batch."""
        longest = max((item.length for item in items), default=0)
        return explained(self.model, self.settings, when, batches, longest=longest, sharded=self.team.sharded)

    def _updated(
        self, examples: Sequence[Example], items: Sequence[Any], batches: Sequence[Batch], step: int
    ) -> Record:
        tokens, units = map(int, self.team.sums([sum(b.tokens for b in batches), sum(b.units for b in batches)]))
        rounds = list(self.team.even_rounds(batches, lambda: self._filler(examples)))
        self.model.train()
        for _ in range(self.technique.updates):
            self.optimizer.zero_grad(set_to_none=True)
            record = (
                self._own_gradients(examples) if self.technique.compute_gradients else self._gradients(rounds, units)
            )
            norm = torch.nn.utils.clip_grad_norm_(list(self.parameters.values()), self.settings.max_grad_norm)
            record["grad_norm"] = float(whole(norm))
            self._require_finite(record, examples, items, step)
            self.optimizer.step()
        return record | {"tokens": tokens, "units": units}

    def batches(self, items: Sequence[Any]) -> list[Batch]:
        """The items as batches of at most `tokens_per_batch` tokens, the longest first: if memory fails, then soon."""
        if not items:
            return []
        limit = self.settings.tokens_per_batch
        groups = [list(items)] if limit is None else grouped(sorted(items, key=lambda i: (-i.length, i.id)), limit)
        return [self.technique.collate(group).to(self.settings.device) for group in groups]

    def probe_memory(self, plan: Sequence[Step]) -> None:
        """Run the longest batch of the plan forwards and backwards and forget it, so that a run without enough memory
        fails at once. Raises MachineError when memory runs out.

        Left out for a technique that makes its items while it trains, or computes gradients itself, and for sharded
        weights, which all processes would have to gather.
        """
        technique = self.technique
        if technique.prepare is not None or technique.compute_gradients is not None or self.team.sharded or not plan:
            return
        limit = self.settings.tokens_per_batch
        lengths = [[example.length for example in step.examples] for step in plan]
        largest = [max(*row_lengths, min(sum(row_lengths), limit or sum(row_lengths))) for row_lengths in lengths]
        # The first of those that are equal, so that the processes of a team choose alike.
        longest = largest.index(max(largest))
        batches = self.batches(self.team.share(plan[longest].examples))[:1]
        with same_random_numbers(), self.explained("at step 1", batches):
            self.model.train()
            for batch in batches:
                self.accelerator.backward(self.loss(batch).total / batch.units)
        self.optimizer.zero_grad(set_to_none=True)

    @torch.no_grad()
    def mean_loss(self, examples: Sequence[Example]) -> float:
        """Mean loss per unit over the examples. Leaves nothing as a trace: not even a random number is drawn.

        Raises RefusedError with the rows when it is not finite, MachineError when memory runs out.
        """
        self.model.eval()
        with same_random_numbers(), self.explained("on the validation rows", items=examples):
            loss_sum = units = 0.0
            groups = grouped(examples, self.settings.tokens_per_batch or self.settings.tokens_per_step)
            for group, weight in self.team.even_rounds(groups[self.team.rank :: self.team.size], lambda: groups[0]):
                loss, counted = self._measured(group)
                loss_sum += weight * loss
                units += weight * counted
            total, count = self.team.sums([loss_sum, units])
            if not math.isfinite(total):
                alone = not self.team.sharded
                rows = [e.id for e in examples if alone and not math.isfinite(self._measured([e])[0])]
                divergence.require_finite("the validation loss", total / count, self._on(rows, examples))
        return total / count

    def _measured(self, examples: Sequence[Example]) -> tuple[float, int]:
        batch = self.technique.collate(self._prepared(examples, -1)).to(self.settings.device)
        return float(self.loss(batch).total), batch.units

    def _items(self, examples: Sequence[Example], step: int) -> Sequence[Any]:
        """This process's items of a step."""
        if self.technique.prepares_together:
            return self.team.share(self._prepared(examples, step))
        return self._prepared(self.team.share(examples), step)

    def _prepared(self, examples: Sequence[Example], step: int) -> Sequence[Any]:
        if self.technique.prepare is None or not examples:
            return examples
        with self.accelerator.autocast():
            return self.technique.prepare(self.model, examples, step)

    def _filler(self, examples: Sequence[Example]) -> Batch:
        return self.batches(self._prepared([min(examples, key=lambda example: example.length)], -1))[0]

    def loss(self, batch: Batch) -> Loss:
        """The technique's loss of a batch, in the arithmetic of the settings."""
        with self.accelerator.autocast():
            return self.technique.loss(self.model, batch)

    def _require_finite(self, record: Record, examples: Sequence[Example], items: Sequence[Any], step: int) -> None:
        """Raise RefusedError, in every process, with the rows whose own loss or gradient is not finite.

        What a technique records besides them must be finite too: it is part of every checkpoint.
        """
        for name, value in record.items():
            if not math.isfinite(value):
                alone = not self.team.sharded and self.technique.compute_gradients is None
                rows = [item.id for item in items if alone and not self._is_finite(item)]
                when = f"at step {step + 1}, {self._on(rows, examples)}"
                divergence.require_finite(_NAMES.get(name, name), value, when)

    def _on(self, rows: Sequence[str], examples: Sequence[Example]) -> str:
        if not rows and self.team.size > 1 and not self.team.sharded:
            return "on rows of another process"
        # None is at fault alone where only their sum is too large.
        return (
            f"on the rows {listed(list(dict.fromkeys(rows)) or [example.id for example in examples], divergence.SHOWN)}"
        )

    def _is_finite(self, item: Any) -> bool:
        self.optimizer.zero_grad(set_to_none=True)
        total = self.loss(self.technique.collate([item]).to(self.settings.device)).total
        if not torch.isfinite(total):
            return False
        self.accelerator.backward(total)
        gradients = [parameter.grad for parameter in self.parameters.values() if parameter.grad is not None]
        return all(bool(torch.isfinite(gradient).all()) for gradient in gradients)

    def _gradients(self, rounds: Sequence[tuple[Batch, float]], units: int) -> Record:
        sums = dict.fromkeys(("loss", *self.technique.notes), 0.0)
        # Where weights are sharded, the backward pass takes the mean over the processes.
        parts = units / self.team.size if self.team.sharded else units
        for batch, weight in rounds:
            loss = self.loss(batch)
            value = float(loss.total.detach())
            self.accelerator.backward(loss.total * (weight / parts) if weight != 1 else loss.total / parts)
            for name, note in {"loss": value, **loss.notes}.items():
                sums[name] += weight * note
        self.team.sum_gradients(self.parameters.values())
        totals = self.team.sums(list(sums.values()))
        return {name: total / units for name, total in zip(sums, totals, strict=True)}

    def _own_gradients(self, examples: Sequence[Example]) -> Record:
        assert self.technique.compute_gradients is not None
        loss, notes = self.technique.compute_gradients(self.model, examples, self.accelerator.autocast)
        return {"loss": loss, **notes}


@contextlib.contextmanager
def same_random_numbers() -> Iterator[None]:
    """Afterwards, torch's random numbers go on as if the block had drawn none."""
    cpu, gpu = torch.get_rng_state(), torch.cuda.get_rng_state() if torch.cuda.is_available() else None
    try:
        yield
    finally:
        torch.set_rng_state(cpu)
        if gpu is not None:
            torch.cuda.set_rng_state(gpu)
