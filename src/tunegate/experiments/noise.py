"""How much the training seed alone moves the metrics: the noise floor under every comparison.

    reports/noise.json    one record per recipe: metrics of the tuned model, seed by seed

One trained model says how good this checkpoint is; only several seeds say how good the recipe is (Bouthillier et al.,
arXiv 2103.03098). A record is found by its recipe, which is everything but the seed: parameters, rows and base model.
Each seed is trained and scored in a scratch checkout; the file is written after every one, and a recorded seed is
not trained again.
"""

import math
import statistics
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import model_validator

from tunegate.evaluation.examples import examples_of, sha256_of_test_set
from tunegate.evaluation.metrics import metrics_of
from tunegate.evaluation.rescoring import BASE, PREDICTIONS, PREPARED
from tunegate.files import read_yaml, write_json, write_yaml
from tunegate.params import Closed, parse
from tunegate.repository.lineage import digest
from tunegate.repository.outputs import open_outputs
from tunegate.repository.revisions import Repository
from tunegate.repository.scratch import run_stages, scratch
from tunegate.repository.snapshot import Snapshot
from tunegate.tables import read_parquet

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


class NoiseFile(Closed):
    """The content of reports/noise.json."""

    recipes: list[Noise]


def recipe_of(snapshot: Snapshot) -> str:
    """The hash of everything that shapes a model or its answers, except the seed and tunegate's own code."""
    values = snapshot.params.model_dump(by_alias=True, mode="json", exclude={"score", "package"})
    del values["train"]["seed"]
    return digest([values, *(getattr(snapshot.locked(path), "md5", None) for path in (PREPARED, BASE))])


def read_noise(snapshot: Snapshot) -> NoiseFile:
    """The noise recorded at a commit. Raises InputError for a damaged file."""
    if snapshot.text(FILE) is None:
        return NoiseFile(recipes=[])
    return parse(NoiseFile, snapshot.json(FILE), place=snapshot.place(FILE), remedy=_REMEDY)


def find_noise(snapshots: list[Snapshot], test_set: str) -> Noise | None:
    """The record of the first of these projects whose recipe was measured on this test set, or None."""
    by_recipe = {record.recipe: record for snapshot in reversed(snapshots) for record in read_noise(snapshot).recipes}
    candidates = (by_recipe.get(recipe_of(snapshot)) for snapshot in snapshots)
    return next((noise for noise in candidates if noise and noise.test_set == test_set), None)


def with_seed(record: NoiseFile, recipe: str, test_set: str, seed: int, metrics: Mapping[str, float]) -> NoiseFile:
    """The record with one more seed of a recipe; what was measured on another test set is replaced."""
    old = next((noise for noise in record.recipes if (noise.recipe, noise.test_set) == (recipe, test_set)), None)
    seeds: dict[str, Any] = (old.seeds if old else {}) | {str(seed): dict(metrics)}
    others = [noise for noise in record.recipes if noise.recipe != recipe]
    return NoiseFile(recipes=[*others, Noise(recipe=recipe, test_set=test_set, seeds=seeds)])


def measure_noise(repository: Repository, seeds: int) -> Iterator[Noise]:
    """Train and score the working tree's recipe with `seeds` seeds from `train.seed` on; yield the record after each.

    Raises MachineError or InputError, with the stage's own words, when a training fails.
    """
    with open_outputs(repository.root) as outputs:
        project = Snapshot(repository, None, outputs)
        recipe, first, record = recipe_of(project), project.params.train.seed, read_noise(project)
    for seed in range(first, first + seeds):
        noise = next((noise for noise in record.recipes if noise.recipe == recipe), None)
        if noise and str(seed) in noise.seeds:
            yield noise
            continue
        test_set, metrics = _train(repository, seed)
        record = with_seed(record, recipe, test_set, seed, metrics)
        write_json(repository.root / FILE, record.model_dump())
        yield record.recipes[-1]


def _train(repository: Repository, seed: int) -> tuple[str, dict[str, float]]:
    """The test set and the tuned model's metrics under one seed."""
    with scratch(repository, None) as folder:
        _set_seed(folder / "params.yaml", seed)
        run_stages(folder, ["evaluate"])
        table = read_parquet(folder / PREDICTIONS)
        examples = examples_of(table, place=PREDICTIONS)
        ignore_case = bool(read_yaml(folder / "params.yaml")["evaluate"]["ignore_case"])
        test_set = sha256_of_test_set(table)
        metrics = metrics_of(examples, lineage="", test_set=test_set, min_slice_rows=1, ignore_case=ignore_case)
        return test_set, metrics["tuned"]


def _set_seed(path: Path, seed: int) -> None:
    params = read_yaml(path)
    params["train"]["seed"] = seed
    write_yaml(path, params)
