from pathlib import Path
from typing import Any

import pytest

from tunegate.errors import InputError
from tunegate.files import read_yaml
from tunegate.gate.policy import FILE, Policy
from tunegate.params import parse

ROOT = Path(__file__).resolve().parents[2]


def policy(**changes: Any) -> Policy:
    value = {"metrics": {"accuracy": {"role": "primary", "direction": "higher", "margin": 0.05}}, **changes}
    return parse(Policy, value, place=FILE, remedy="docs/gate.md explains every key")


@pytest.mark.parametrize("folder", [ROOT, ROOT / "src/tunegate/cli/project"])
def test_the_shipped_policies_are_policies(folder: Path) -> None:
    assert parse(Policy, read_yaml(folder / FILE), place=FILE, remedy="").primary == "accuracy"


def test_a_typo_is_refused_with_the_nearest_key() -> None:
    with pytest.raises(InputError, match="did you mean 'alpha'"):
        policy(alhpa=0.05)


def test_a_renamed_metric_is_refused_with_its_place() -> None:
    with pytest.raises(InputError) as refused:
        policy(metrics={"acuracy": {"role": "primary", "direction": "higher"}})
    assert "metrics" in refused.value.place
    assert "acuracy" in str(refused.value)


def test_exactly_one_metric_is_primary() -> None:
    info = {"accuracy": {"role": "info", "direction": "higher"}}
    with pytest.raises(InputError, match="exactly one metric of role primary"):
        policy(metrics=info)


def test_a_metric_that_is_better_lower_cannot_be_declared_otherwise() -> None:
    with pytest.raises(InputError, match=r"nll\.direction must be lower"):
        policy(metrics={"nll": {"role": "primary", "direction": "higher"}})


@pytest.mark.parametrize("change", [{"alpha": 0.0}, {"alpha": float("nan")}, {"resamples": 100}, {"min_rows": 1}])
def test_values_that_would_make_the_verdict_worthless_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        policy(**change)


def test_a_metric_may_have_its_own_alpha_cluster_and_min_rows() -> None:
    accuracy = {"role": "primary", "direction": "higher"}
    nll = {"role": "guard", "direction": "lower", "alpha": 0.01, "cluster": "id", "min_rows": 300}
    found = policy(metrics={"accuracy": accuracy, "nll": nll}, min_rows=150)
    assert [(own.alpha, own.cluster, own.min_rows) for own in map(found.of, ("accuracy", "nll"))] == [
        (0.05, "group", 150),
        (0.01, "id", 300),
    ]
    assert found.of("accuracy") == found


@pytest.mark.parametrize("own", [{"alpha": 0.5}, {"cluster": "row"}, {"min_rows": 1}])
def test_a_metrics_own_values_are_held_to_the_same_bounds(own: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"metrics\.accuracy"):
        policy(metrics={"accuracy": {"role": "primary", "direction": "higher", **own}})
