"""search.yaml: which parameters are searched, how, and for what. The same can be said on the command line.

Closed and frozen like every file that people write.
"""

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from tunegate.errors import UsageError
from tunegate.files import parse_json, read_yaml
from tunegate.params import Closed, parse
from tunegate.repository.lineage import digest

FILE = Path("search.yaml")
REMEDY = "docs/search.md explains every key"
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
"""What can name a folder and a branch."""

Number = int | float
Direction = Literal["minimize", "maximize"]
_MOST_POINTS = 2**53
"""Beyond it, a float does not represent every whole number."""
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


class Axis(Closed):
    """The values of one parameter: a range from `low` to `high`, or a list of `values`."""

    low: Number | None = None
    """The smallest. Whole where `high` and `step` are whole too: then only whole numbers are tried."""
    high: Number | None = None
    """The largest."""
    log: bool = False
    """Whether a range is searched by orders of magnitude."""
    step: Annotated[Number, Field(gt=0)] | None = None
    """Distance between two values of a range. null: any number, or any whole number."""
    values: tuple[Any, ...] | None = None
    """A list of values of any kind; no order is assumed."""

    @model_validator(mode="after")
    def _is_a_range_or_a_list(self) -> "Axis":
        if self.values is not None:
            if self.model_fields_set != {"values"}:
                raise ValueError("values, or low and high: not both")
            texts = [json.dumps(value, default=str) for value in self.values]
            if not texts or len(set(texts)) < len(texts):
                raise ValueError("at least one value, and each once")
            return self
        if self.low is None or self.high is None:
            raise ValueError("low and high, or values")
        if self.low > self.high:
            raise ValueError(f"low of at most high, which is {self.high}")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("a logarithmic range begins above 0 and has no step")
        if (self.whole or self.step is not None) and (self.high - self.low) / (self.step or 1) > _MOST_POINTS:
            raise ValueError(f"a range of at most {_MOST_POINTS} values")
        return self

    @property
    def whole(self) -> bool:
        """Whether it is a range of whole numbers."""
        return all(isinstance(number, int) for number in (self.low, self.high, self.step) if number is not None)

    @property
    def count(self) -> int | None:
        """How many values there are; None for a range of any number."""
        if self.values is not None:
            return len(self.values)
        if self.step is None and not self.whole:
            return None
        low, high = self.bounds
        return int((high - low) / (self.step or 1) + 1e-9) + 1

    @property
    def bounds(self) -> tuple[Number, Number]:
        """The smallest and the largest of a range."""
        assert self.low is not None
        assert self.high is not None
        return self.low, self.high

    def point(self, number: int) -> Any:
        """The value of that number, in order, of those that can be counted."""
        return (
            self.values[number] if self.values is not None else self.rounded(self.bounds[0] + (self.step or 1) * number)
        )

    def rounded(self, value: Number) -> Number:
        """A number of a range as it stands in params.yaml: with the digits that matter to a training, within bounds."""
        low, high = self.bounds
        digits = 4 if self.step is None else 12  # of a sum of steps, no more are right
        return min(max(float(f"{value:.{digits}g}"), low), high) if isinstance(value, float) else value


class Objective(Closed):
    """What the search minimises or maximises."""

    metric: str = "valid_loss"
    """`valid_loss`, a number of reports/metrics.json by its path (`tuned.accuracy`), one of reports/timings.json
    (`timings.train.peak_memory_bytes`), or `latency`, `minutes`, `trainable_parameters`, `package_bytes`."""
    direction: Direction = "minimize"
    """Whether less or more of it is better."""

    @property
    def on_test_rows(self) -> bool:
        """Whether it was measured on the test rows, which choosing by it uses up."""
        return self.metric.startswith(("tuned.", "delta.", "slices.", "outcomes."))


class Search(Closed):
    """The whole of search.yaml."""

    name: Annotated[str, Field(pattern=NAME, max_length=100)] | None = None
    """Names the folder below .tunegate/search and the branch of the proposal. null: commit and content name it."""
    space: Annotated[dict[str, Axis], Field(min_length=1)]
    """Key of params.yaml, `section.key`, to the values to try."""
    trials: Annotated[int, Field(ge=1)] = 12
    """How many sets of values are tried."""
    sampler: Literal["tpe", "random", "grid"] = "tpe"
    """tpe learns from finished trials (arXiv 2304.11127); random does not; grid goes through all in order."""
    seed: Annotated[int, Field(ge=0)] = 7
    """Of the sampler; training keeps train.seed."""
    batch: Annotated[int, Field(ge=1)] = 4
    """Trials that are chosen together, so that up to as many can run at once. More workers or fewer: the same table."""
    threads: Annotated[int, Field(ge=1)] | None = None
    """Threads of one trial's arithmetic. null: as many as the machine gives."""
    objectives: Annotated[tuple[Objective, ...], Field(min_length=1)] = (Objective(),)
    """What is minimised or maximised. Of several, the trials that no other beats in all of them are shown."""
    pruner: Literal["none", "median", "halving"] = "none"
    """Stops a trial whose validation loss is worse than the median of the finished ones at the same point, or not among
    the better third at the points of successive halving (arXiv 1810.05934)."""

    @model_validator(mode="after")
    def _can_be_run(self) -> "Search":
        metrics = [objective.metric for objective in self.objectives]
        if len(set(metrics)) < len(metrics):
            raise ValueError("every metric in one objective alone")
        if self.pruner != "none" and len(metrics) > 1:
            raise ValueError("pruner none with several objectives: one loss cannot stand for several of them")
        if self.sampler == "grid":
            infinite = [key for key, axis in self.space.items() if axis.count is None]
            if infinite:
                raise ValueError(f"values or a step for {', '.join(infinite)}: a grid is finite")
        return self

    def definition(self, commit: str) -> dict[str, Any]:
        """What decides the trials and their order, flat: not their number, their place or the name."""
        values = self.model_dump(mode="json", exclude={"name", "trials", "space", "objectives"})
        objectives = ", ".join(f"{o.metric}:{o.direction}" for o in self.objectives)
        axes = {f"space.{key}": axis.model_dump(mode="json", exclude_unset=True) for key, axis in self.space.items()}
        return {"commit": commit, "objectives": objectives, **values, **axes}

    def title(self, commit: str) -> str:
        """The name, or one made of the commit and of what is searched."""
        return self.name or f"{commit[:8]}-{digest(self.definition(commit))[:6]}"


def load_search(path: Path) -> dict[str, Any]:
    """The content of a search file, to be parsed with what the command line says. Raises InputError."""
    declared = read_yaml(path)
    parse(Search, declared, place=str(path), remedy=REMEDY)
    return dict(declared)


def axis_of(text: str) -> tuple[str, dict[str, Any]]:
    """`KEY=8,16,32`, `KEY=low:high`, `KEY=low:high:step` or `KEY=log:low:high`. Raises UsageError."""
    key, sign, values = text.partition("=")
    parts = values.split(":")
    log = parts[0] == "log"
    numbers = parts[log:]
    if not (key and sign and values):
        raise _wrong(text)
    if len(parts) == 1 or not all(map(_NUMBER.fullmatch, numbers)):
        return key, {"values": [_value(item) for item in values.split(",")]}
    if len(numbers) not in ((2,) if log else (2, 3)):
        raise _wrong(text)
    names = zip(("low", "high", "step"), map(_value, numbers), strict=False)
    return key, dict(names) | ({"log": True} if log else {})


def objective_of(text: str) -> dict[str, str]:
    """`METRIC:maximize` or `METRIC:minimize`. Raises UsageError."""
    metric, _, direction = text.rpartition(":")
    if not metric or direction not in ("minimize", "maximize"):
        remedy = "for instance tuned.accuracy:maximize, or minutes:minimize"
        raise UsageError(f"not a metric and its direction (got {text!r})", place="--objective", remedy=remedy)
    return {"metric": metric, "direction": direction}


def _value(text: str) -> Any:
    text = text.strip()
    if _NUMBER.fullmatch(text):
        return float(text) if set(text) & set(".eE") else int(text)
    return parse_json(text, place="--param") if text in ("true", "false", "null") else text


def _wrong(text: str) -> UsageError:
    remedy = "KEY=8,16,32 or KEY=low:high or KEY=low:high:step or KEY=log:low:high"
    return UsageError(f"not a parameter and its values (got {text!r})", place="--param", remedy=remedy)
