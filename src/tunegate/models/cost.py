"""What a stage cost: seconds, memory and the hardware they were spent on; models/train_cost.json, evaluate_cost.json.

Like timings, costs differ from run to run of the same commit, on the same machine too. They are outputs of their own
for that reason: equal runs give equal bytes everywhere else. `tunegate.models.resources` measures them.
"""

from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import Field

from tunegate.files import read_json
from tunegate.params import Closed, parse


class Cost(Closed):
    """What a stage cost."""

    hardware: str
    """The class of machine: costs of different classes do not compare."""
    seconds: Annotated[float, Field(ge=0)]
    """Of the work itself, without imports and loading."""
    peak_memory_bytes: Annotated[int, Field(ge=0)]
    """Largest memory of the process; on a GPU, the largest that tensors took there."""


class TrainCost(Cost):
    """What a training cost, from its first step to its last, however often it was resumed."""

    tokens: Annotated[int, Field(ge=0)]
    """Tokens seen: those of the training rows, times epochs."""
    steps: Annotated[int, Field(ge=0)]
    resumed: bool
    """Whether it was interrupted: the seconds are then a sum, the memory is that of the last part."""


Kind = TypeVar("Kind", bound=Cost)


def read_cost(path: Path, kind: type[Kind]) -> Kind:
    """The cost of that kind in `path`. Raises InputError when the file holds none."""
    return parse(kind, read_json(path), place=str(path), remedy="run the stage that writes it again")
