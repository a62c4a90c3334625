"""How much the training seed alone moves the metrics: the noise floor under every comparison.

    reports/noise.json    one record per recipe: metrics of the tuned model, seed by seed

One trained model says how good this checkpoint is; only several seeds say how good the recipe is (Bouthillier et al.,
arXiv 2103.03098). A record is found by its recipe, which is everything but the seed: parameters, rows and base model.
Reads and writes that file; does not train.
"""

import math
import statistics
from collections.abc import Mapping
from typing import Any

from pydantic import model_validator

from tunegate.evaluation.rescoring import BASE, PREPARED
from tunegate.params import Closed, parse
from tunegate.repository.lineage import digest
from tunegate.repository.snapshot import Snapshot

FILE = "reports/noise.json"
_REMEDY = "restore the file from git, or run `tunegate noise` again"


class Noise(Closed):
    """One recipe's metrics under several seeds."""

    recipe: str
    """sha256 over the locked rows and base model, and params.yaml without `train.seed`, `score` and `package`."""
    test_set: str
    """sha256 of the test set that they were measured on."""
    seeds: dict[str, dict[str, float]]
    """The tuned model's metrics by training seed."""

    @model_validator(mode="after")
    def _is_finite(self) -> "Noise":
        if not all(math.isfinite(value) for metrics in self.seeds.values() for value in metrics.values()):
            raise ValueError("finite numbers only")
        return self

    def deviations(self) -> dict[str, float]:
        """Standard deviation between seeds of every metric; empty with fewer than two seeds."""
        if len(self.seeds) < 2:
            return {}
        names = set.intersection(*(set(metrics) for metrics in self.seeds.values()))
        return {name: statistics.stdev(m[name] for m in self.seeds.values()) for name in sorted(names)}


class Recorded(Closed):
    """The content of reports/noise.json."""

    recipes: list[Noise]


def recipe_of(snapshot: Snapshot) -> str:
    """What names a recipe: everything that shapes a model or its answers, but for the seed and tunegate's own code."""
    values = snapshot.params.model_dump(by_alias=True, mode="json", exclude={"score", "package"})
    del values["train"]["seed"]
    return digest([values, *(getattr(snapshot.locked(path), "md5", None) for path in (PREPARED, BASE))])


def recorded(snapshot: Snapshot) -> Recorded:
    """The noise recorded at a commit. Raises InputError for a file that is not one."""
    if snapshot.text(FILE) is None:
        return Recorded(recipes=[])
    return parse(Recorded, snapshot.json(FILE), place=snapshot.place(FILE), remedy=_REMEDY)


def noise_of(snapshots: list[Snapshot], test_set: str) -> Noise | None:
    """The record of the first of these projects whose recipe was measured on this test set, or None."""
    known = {record.recipe: record for snapshot in reversed(snapshots) for record in recorded(snapshot).recipes}
    found = (known.get(recipe_of(snapshot)) for snapshot in snapshots)
    return next((noise for noise in found if noise and noise.test_set == test_set), None)


def with_seed(record: Recorded, recipe: str, test_set: str, seed: int, metrics: Mapping[str, float]) -> Recorded:
    """The record with one more seed of a recipe; what was measured on another test set is replaced."""
    old = next((noise for noise in record.recipes if (noise.recipe, noise.test_set) == (recipe, test_set)), None)
    seeds: dict[str, Any] = (old.seeds if old else {}) | {str(seed): dict(metrics)}
    others = [noise for noise in record.recipes if noise.recipe != recipe]
    return Recorded(recipes=[*others, Noise(recipe=recipe, test_set=test_set, seeds=seeds)])
