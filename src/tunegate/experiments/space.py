"""From a declared axis to Optuna's distribution, and from a trial's values to a params.yaml, checked by its schema.

Values of a list travel as JSON texts, since Optuna knows scalars only.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

from tunegate.errors import InputError
from tunegate.experiments.declaration import Axis, Search
from tunegate.experiments.trials import Change
from tunegate.files import parse_yaml, value_at
from tunegate.params import Params, parse
from tunegate.params.editing import with_values

PARAMS = "params.yaml"
_REMEDY = "docs/params.md lists every key"


def distributions_of(search: Search) -> dict[str, Any]:
    """Optuna's distributions by key, in the order of the keys' names."""
    return {key: _distribution(search.space[key]) for key in sorted(search.space)}


def values_of(search: Search, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """What Optuna chose as values of params.yaml, by key."""
    axes = search.space
    return {
        key: json.loads(chosen[key]) if axes[key].values is not None else axes[key].rounded(chosen[key]) for key in axes
    }


def point_of(search: Search, values: Mapping[str, Any]) -> dict[str, Any] | None:
    """Values of params.yaml as Optuna would choose them, or None where the space does not hold them."""
    point = {key: _optuna_value(search.space[key], values.get(key)) for key in search.space}
    return None if None in point.values() else point


def grid_size(search: Search) -> int:
    """How many points the grid has."""
    return math.prod(axis.count or 0 for axis in search.space.values())


def grid_point(search: Search, number: int) -> dict[str, Any]:
    """A point of the grid as Optuna would choose it, the last key moving fastest."""
    point = {}
    for key, axis in reversed(search.space.items()):
        number, index = divmod(number, axis.count or 1)
        point[key] = axis.point(index) if axis.values is None else json.dumps(axis.values[index])
    return {key: point[key] for key in search.space}


def with_params(text: str, values: Mapping[str, Any]) -> str:
    """params.yaml with other values. Raises InputError where its schema refuses them."""
    edited = with_values(text, values)
    params_in(edited)
    return edited


def params_in(text: str) -> Params:
    """params.yaml's text as its schema reads it. Raises InputError."""
    return parse(Params, parse_yaml(text, place=PARAMS), place=PARAMS, remedy=_REMEDY)


def require_known_keys(text: str, search: Search) -> None:
    """Raises InputError for a key that params.yaml cannot have. Which values it can, each trial says for itself."""
    for key, axis in search.space.items():
        first = axis.values[0] if axis.values is not None else axis.low
        try:
            with_params(text, {key: first})
        except InputError as error:
            if error.problem.startswith("unknown key"):
                raise InputError(error.problem, place=f"space: {key}", remedy=_REMEDY) from None


def current_values(text: str, search: Search) -> dict[str, Any]:
    """The values that params.yaml has now, the schema's defaults included; None for one without."""
    params = params_in(text).model_dump(by_alias=True, mode="json")
    return {key: value_at(params, *key.split(".")) for key in search.space}


def diff_of(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Change]:
    """The values that differ."""
    return {key: Change(before=before[key], after=after[key]) for key in after if before[key] != after[key]}


def _distribution(axis: Axis) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if axis.values is not None:
        return CategoricalDistribution([json.dumps(value) for value in axis.values])
    if axis.whole:
        return IntDistribution(axis.low, axis.high, log=axis.log, step=axis.step or 1)
    return FloatDistribution(axis.low, axis.high, log=axis.log, step=axis.step)


def _optuna_value(axis: Axis, value: Any) -> Any:
    if axis.values is not None:
        text = json.dumps(value)
        return text if text in [json.dumps(item) for item in axis.values] else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    low, high = axis.bounds
    if not low <= value <= high:
        return None
    if axis.count is None:
        return float(value)
    point = axis.point(min(round((value - low) / (axis.step or 1)), axis.count - 1))
    return point if point == value else None
