"""A run as MLflow takes it: parameters and numbers, as flat names.

Slices stay out of the metrics, where a few dozen of them would drown the rest: they are in the run's metrics.json and
report.html.
"""

from typing import Any

from tunegate.evaluation.examples import MODELS
from tunegate.params import Params
from tunegate.repository.working_copy import Checkout
from tunegate.tracking.outbox import COST, Run

COSTS = ("train", "evaluate")
"""The stages whose costs are in timings.json."""


def describe(params: Params, checkout: Checkout, metrics: dict[str, Any], timings: dict[str, Any]) -> Run:
    """The run with these parameters, metrics and timings."""
    return Run(
        name=params.score.name,
        commit=checkout.commit,
        branch=checkout.branch,
        dirty=checkout.dirty,
        lineage=metrics["lineage"],
        params=flat_params(params),
        metrics=_flat_metrics(metrics, timings),
        tags={f"tunegate.hardware.{stage}": timings[stage]["hardware"] for stage in COSTS},
    )


def flat_params(params: Params) -> dict[str, str]:
    """`section.key` to the value as text, in the order of params.yaml."""
    sections = params.model_dump(by_alias=True)
    return {f"{section}.{key}": _text(value) for section, values in sections.items() for key, value in values.items()}


def _flat_metrics(metrics: dict[str, Any], timings: dict[str, Any]) -> dict[str, float]:
    flat = {"rows": float(metrics["rows"])}
    flat |= {f"{group}.{name}": value for group in (*MODELS, "delta") for name, value in metrics[group].items()}
    flat |= {f"{model}.{name}": value for model in MODELS for name, value in timings[model].items()}
    return flat | {
        f"{COST}{stage}.{name}": float(value)
        for stage in COSTS
        for name, value in timings[stage].items()
        if name != "hardware"
    }


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
