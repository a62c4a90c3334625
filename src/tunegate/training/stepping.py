"""One optimizer step: a step's examples in batches that fit, their gradients added up, clipped and applied.

The loss is a mean over all units of the step (trained tokens, rows or pairs), however many batches it takes: batches of
another size give the same step, and so do several processes that share its examples. Reads and writes nothing.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
from accelerate import Accelerator

from tunegate.errors import RefusedError
from tunegate.models.examples import Example
from tunegate.params import Train
from tunegate.training.batching import grouped
from tunegate.training.distributed import ALONE, Team, whole
from tunegate.training.technique import Batch, Loss, Technique

Record = dict[str, Any]


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
        """Do step `step` (from 0) at a learning rate; return what it recorded."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        batches = self.batches(self._prepared(self.team.share(examples), step))
        tokens, units = map(int, self.team.sums([sum(b.tokens for b in batches), sum(b.units for b in batches)]))
        rounds = list(self.team.even(batches, lambda: self._filler(examples)))
        self.model.train()
        for _ in range(self.technique.updates):
            self.optimizer.zero_grad(set_to_none=True)
            found = self._pulled(examples) if self.technique.pull else self._gradients(rounds, units, step)
            norm = torch.nn.utils.clip_grad_norm_(list(self.parameters.values()), self.settings.max_grad_norm)
            self.optimizer.step()
        return found | {"grad_norm": float(whole(norm)), "learning_rate": rate, "tokens": tokens, "units": units}

    def batches(self, items: Sequence[Any]) -> list[Batch]:
        """The items as batches of at most `tokens_per_batch` tokens, the longest first: if memory fails, then soon."""
        if not items:
            return []
        limit = self.settings.tokens_per_batch
        groups = [list(items)] if limit is None else grouped(sorted(items, key=lambda i: (-i.length, i.id)), limit)
        return [self.technique.collate(group).to(self.settings.device) for group in groups]

    @torch.no_grad()
    def mean_loss(self, examples: Sequence[Example]) -> float:
        """Mean loss per unit over the examples."""
        self.model.eval()
        found = units = 0.0
        groups = grouped(examples, self.settings.tokens_per_batch or self.settings.tokens_per_step)
        for group, weight in self.team.even(groups[self.team.rank :: self.team.size], lambda: groups[0]):
            batch = self.technique.collate(self._prepared(group, -1)).to(self.settings.device)
            found += weight * float(self._loss(batch).total)
            units += weight * batch.units
        total, count = self.team.sums([found, units])
        return total / count

    def _prepared(self, examples: Sequence[Example], step: int) -> Sequence[Any]:
        if self.technique.prepare is None or not examples:
            return examples
        with self.accelerator.autocast():
            return self.technique.prepare(self.model, examples, step)

    def _filler(self, examples: Sequence[Example]) -> Batch:
        return self.batches(self._prepared([min(examples, key=lambda example: example.length)], -1))[0]

    def _loss(self, batch: Batch) -> Loss:
        with self.accelerator.autocast():
            return self.technique.loss(self.model, batch)

    def _gradients(self, rounds: Sequence[tuple[Batch, float]], units: int, step: int) -> Record:
        sums = dict.fromkeys(("loss", *self.technique.notes), 0.0)
        # Where weights are sharded, the backward pass takes the mean over the processes.
        parts = units / self.team.size if self.team.sharded else units
        for batch, weight in rounds:
            loss = self._loss(batch)
            value = float(loss.total.detach())
            if not torch.isfinite(loss.total):
                problem = f"the loss is {value} at step {step + 1}, on the rows {', '.join(batch.rows)}"
                raise RefusedError(problem, place="train", remedy="lower train.learning_rate, or look at these rows")
            self.accelerator.backward(loss.total * (weight / parts) if weight != 1 else loss.total / parts)
            for name, note in {"loss": value, **loss.notes}.items():
                sums[name] += weight * note
        self.team.add_gradients(self.parameters.values())
        totals = self.team.sums(list(sums.values()))
        return {name: total / units for name, total in zip(sums, totals, strict=True)}

    def _pulled(self, examples: Sequence[Example]) -> Record:
        assert self.technique.pull is not None
        loss, notes = self.technique.pull(self.model, examples, self.accelerator.autocast)
        return {"loss": loss, **notes}
