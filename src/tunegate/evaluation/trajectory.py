"""The course of a training, as models/trajectory.csv tells it: one point per optimizer step.

A cell that is empty was not measured at that step and is left out.
"""

import csv
import io
import math
from pathlib import Path

from tunegate.errors import InputError
from tunegate.files import read_text

Point = dict[str, float]
"""Column name to value, always with `step` and `loss`."""


def read_trajectory(path: Path) -> list[Point]:
    """The points of a training, in order. Raises InputError for a missing column or a cell that is not finite."""
    reader = csv.DictReader(io.StringIO(read_text(path)))
    missing = {"step", "loss"} - set(reader.fieldnames or ())
    if missing:
        problem = f"no column {', '.join(sorted(missing))}"
        raise InputError(problem, place=str(path), remedy="run the stage `train` again")
    return [_point(row, f"{path}:{number}") for number, row in enumerate(reader, 2)]


def _point(row: dict[str, str | None], place: str) -> Point:
    point = {name: _number(value, f"{place}: {name}") for name, value in row.items() if value}
    if not {"step", "loss"} <= point.keys():
        raise InputError("no step or no loss", place=place, remedy="run the stage `train` again")
    return point


def _number(text: str, place: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        remedy = "the training went wrong here: lower train.learning_rate, or look at the rows"
        raise InputError(f"not a finite number (got {text!r})", place=place, remedy=remedy)
    return value
