"""The same recipe under other training seeds, each trained and scored in a scratch clone: the noise floor.

Writes reports/noise.json after every seed, so that nothing is lost when it is stopped; a seed that is recorded is not
trained again. The working tree's other files stay as they are.
"""

from collections.abc import Iterator
from pathlib import Path

from tunegate.evaluation.examples import examples_of, sha256_of_test_set
from tunegate.evaluation.metrics import metrics_of
from tunegate.evaluation.rescoring import PREDICTIONS
from tunegate.experiments.seed_noise import FILE, Noise, recipe_of, recorded, with_seed
from tunegate.files import read_yaml, write_json, write_yaml
from tunegate.repository.outputs import open_outputs
from tunegate.repository.revisions import Repository
from tunegate.repository.scratch import run_stages, scratch
from tunegate.repository.snapshot import Snapshot
from tunegate.tables import read_parquet


def measure(repository: Repository, seeds: int) -> Iterator[Noise]:
    """Train and score the working tree's recipe with `seeds` seeds from `train.seed` on; yield the record after each.

    Raises MachineError or InputError, with the stage's own words, when a training fails.
    """
    with open_outputs(repository.root) as outputs:
        project = Snapshot(repository, None, outputs)
        recipe, first, record = recipe_of(project), project.params.train.seed, recorded(project)
    for seed in range(first, first + seeds):
        known = next((noise for noise in record.recipes if noise.recipe == recipe), None)
        if known and str(seed) in known.seeds:
            yield known
            continue
        test_set, metrics = _trained(repository, seed)
        record = with_seed(record, recipe, test_set, seed, metrics)
        write_json(repository.root / FILE, record.model_dump())
        yield record.recipes[-1]


def _trained(repository: Repository, seed: int) -> tuple[str, dict[str, float]]:
    """The test set and the tuned model's metrics under one seed."""
    with scratch(repository, None) as folder:
        _set_seed(folder / "params.yaml", seed)
        run_stages(folder, ["evaluate"])
        table = read_parquet(folder / PREDICTIONS)
        examples = examples_of(table, place=PREDICTIONS)
        ignore_case = bool(read_yaml(folder / "params.yaml")["evaluate"]["ignore_case"])
        test_set = sha256_of_test_set(table)
        found = metrics_of(examples, lineage="", test_set=test_set, min_slice_rows=1, ignore_case=ignore_case)
        return test_set, found["tuned"]


def _set_seed(path: Path, seed: int) -> None:
    params = read_yaml(path)
    params["train"]["seed"] = seed
    write_yaml(path, params)
