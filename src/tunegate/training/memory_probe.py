"""The longest batch of a plan, forwards and backwards, before the first step: what runs out of memory does so at once.

Nothing stays of it: gradients are thrown away, and random numbers are drawn again. Reads and writes nothing.
"""

from collections.abc import Sequence

from tunegate.training.optimizer_step import Stepper, same_random_numbers
from tunegate.training.technique import Step


def rehearse(stepper: Stepper, plan: Sequence[Step]) -> None:
    """Do the longest batch of the plan once and forget it. Raises MachineError when memory runs out.

    A technique that makes its items while it trains, or fills gradients itself, is not rehearsed; nor are sharded
    weights, which all processes would have to gather for it.
    """
    technique = stepper.technique
    if technique.prepare is not None or technique.pull is not None or stepper.team.sharded or not plan:
        return
    limit = stepper.settings.tokens_per_batch
    lengths = [[example.length for example in step.examples] for step in plan]
    largest = [max(*found, min(sum(found), limit or sum(found))) for found in lengths]
    # The first of those that are equal, so that the processes of a team choose alike.
    longest = largest.index(max(largest))
    batches = stepper.batches(stepper.team.share(plan[longest].examples))[:1]
    with same_random_numbers(), stepper.explained("at step 1", batches):
        stepper.model.train()
        for batch in batches:
            stepper.accelerator.backward(stepper.loss(batch).total / batch.units)
    stepper.optimizer.zero_grad(set_to_none=True)
