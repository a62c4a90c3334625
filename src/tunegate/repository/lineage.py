"""The lineage key: one sha256 over everything that may influence a model.

Stamped into the adapter, the MLflow version, the package's manifest and the service. A reader that finds a key that is
not the sha256 of its parts, or a part that is not what it holds, refuses. This module hashes what it is given; it does
not know where the parts come from.
"""

import hashlib
import json
from pathlib import Path

from tunegate.errors import RefusedError
from tunegate.files import read_json
from tunegate.params import Closed, parse

FILE = "lineage.json"


class Parts(Closed):
    """What a model is made of; each value is a sha256 in hexadecimal."""

    data: str
    """The tokenised training and validation rows."""
    params: str
    """The parameters of the stage `train`, as params.yaml has them."""
    base: str
    """The base model's weights."""
    template: str
    """The chat template."""
    tokenizer: str
    """The tokenizer's files."""
    code: str
    """The modules of tunegate that the stage `train` runs (`tunegate.repository.stage_keys`)."""
    lock: str
    """The packages that it runs, with their versions."""


class Lineage(Closed):
    """The parts and the key over them."""

    parts: Parts
    key: str
    """sha256 of the parts as canonical JSON."""


def lineage_of(parts: Parts) -> Lineage:
    """The lineage of a model made of `parts`."""
    return Lineage(parts=parts, key=digest(parts.model_dump()))


def check(lineage: Lineage, *, place: str) -> Lineage:
    """The lineage itself. Raises RefusedError when its key is not the sha256 of its parts."""
    expected = digest(lineage.parts.model_dump())
    if lineage.key != expected:
        problem = f"lineage key {lineage.key[:12]} does not match its parts ({expected[:12]})"
        raise RefusedError(problem, place=place, remedy="restore the file from DVC, or run the pipeline again")
    return lineage


def read_lineage(folder: Path) -> Lineage:
    """The checked lineage of an adapter folder."""
    path = folder / FILE
    remedy = "restore the file from DVC, or run the pipeline again"
    return check(parse(Lineage, read_json(path), place=str(path), remedy=remedy), place=str(path))


def digest(value: object) -> str:
    """sha256 of a value as canonical JSON: sorted keys, no white space, no NaN."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
