from pathlib import Path

from tunegate.params import load_params
from tunegate.repository.git import Checkout
from tunegate.tracking.describe import describe, flat_params

PARAMS = load_params(Path(__file__).parents[2] / "params.yaml")


def test_params_are_flat_text() -> None:
    found = flat_params(PARAMS)
    assert found["train.rank"] == "16"
    assert found["base.allowed_licenses"] == "Apache-2.0, MIT, BSD-3-Clause"
    assert found["validate.suite"] == "questions"
    assert all(isinstance(value, str) for value in found.values())


def test_a_run_names_model_commit_lineage_and_numbers() -> None:
    metrics = {"lineage": "k", "rows": 2, "base": {"nll": 2.0}, "tuned": {"nll": 1.0}, "delta": {"nll": -1.0}}
    timings = {"base": {"mean_seconds": 0.1}, "tuned": {"mean_seconds": 0.2}}
    run = describe(PARAMS, Checkout("c" * 40, "main", dirty=True), metrics, timings)
    assert (run.name, run.lineage, run.checkout.short) == (PARAMS.score.name, "k", "cccccccc+")
    assert run.metrics == {
        "rows": 2.0,
        "base.nll": 2.0,
        "tuned.nll": 1.0,
        "delta.nll": -1.0,
        "base.mean_seconds": 0.1,
        "tuned.mean_seconds": 0.2,
    }
