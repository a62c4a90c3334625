from pathlib import Path

from tunegate.params import load_params
from tunegate.repository.working_copy import Checkout
from tunegate.tracking.describe import describe, flat_params

PARAMS = load_params(Path(__file__).parents[2] / "params.yaml")


def test_params_are_flat_text() -> None:
    described = flat_params(PARAMS)
    assert described["train.rank"] == "16"
    assert described["base.allowed_licenses"] == "Apache-2.0, MIT, BSD-3-Clause"
    assert described["validate.suite"] == "questions"
    assert all(isinstance(value, str) for value in described.values())


def test_a_run_names_model_commit_lineage_and_numbers() -> None:
    metrics = {"lineage": "k", "rows": 2, "base": {"nll": 2.0}, "tuned": {"nll": 1.0}, "delta": {"nll": -1.0}}
    cost = {"hardware": "a processor", "seconds": 60.5}
    timings = {"base": {"mean_seconds": 0.1}, "tuned": {"mean_seconds": 0.2}}
    timings |= {"train": cost | {"tokens": 7, "resumed": True}, "evaluate": cost}
    run = describe(PARAMS, Checkout("c" * 40, "main", dirty=True), metrics, timings)
    assert (run.name, run.lineage, run.checkout.short) == (PARAMS.score.name, "k", "cccccccc+")
    assert run.metrics == {
        "rows": 2.0,
        "base.nll": 2.0,
        "tuned.nll": 1.0,
        "delta.nll": -1.0,
        "base.mean_seconds": 0.1,
        "tuned.mean_seconds": 0.2,
        "cost.train.seconds": 60.5,
        "cost.train.tokens": 7.0,
        "cost.train.resumed": 1.0,
        "cost.evaluate.seconds": 60.5,
    }
    assert run.tags == dict.fromkeys(("tunegate.hardware.train", "tunegate.hardware.evaluate"), "a processor")
