"""Files that people write, as frozen, closed pydantic models: an unknown key is refused with the nearest known name.

`Closed` and `parse` serve params.yaml and every other such file (sources, catalogue, policy, releases). Knows
pydantic's faults and how to say them; does not know any file.
"""

import difflib
import json
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from tunegate.errors import InputError


class Closed(BaseModel):
    """A frozen model that refuses unknown keys and does not convert types silently."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        protected_namespaces=(),
    )


Model = TypeVar("Model", bound=BaseModel)


def parse(model: type[Model], value: Any, *, place: str, remedy: str) -> Model:
    """`value`, as read from YAML or JSON, as a `model`. Raises InputError for its first fault."""
    try:
        # Strict, as JSON: "16", true and 7.0 are no whole numbers, while a list may become a tuple.
        return model.model_validate_json(json.dumps(value, default=str), strict=True)
    except ValidationError as error:
        faults = error.errors()
        fault = next((f for f in faults if f["type"] == "extra_forbidden"), faults[0])
        where = _dotted(fault["loc"])
        problem = _problem(model, fault)
        raise InputError(problem, place=f"{place}: {where}" if where else place, remedy=remedy) from None


def _problem(model: type[BaseModel], fault: Any) -> str:
    kind, location = fault["type"], fault["loc"]
    if kind == "missing":
        return "missing"
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(str(location[-1]), _known_keys(model, location[:-1]), n=1, cutoff=0.5)
        return "unknown key" + (f"; did you mean {near[0]!r}?" if near else "")
    message = fault["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    message = message if " must " in message else f"must be {message}"
    return f"{message} (got {fault['input']!r})" if not isinstance(fault["input"], dict) else message


def _known_keys(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    found: list[type[BaseModel]] = [model]
    for step in location:
        inner: list[type[BaseModel]] = []
        for candidate in found:
            for name, field in candidate.model_fields.items():
                if step in (name, field.alias):
                    inner.extend(_models_in(field.annotation))
        found = inner or found
    return [field.alias or name for candidate in found for name, field in candidate.model_fields.items()]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in getattr(annotation, "__args__", ()) for model in _models_in(argument)]


def _dotted(location: tuple[int | str, ...]) -> str:
    text = ""
    for step in location:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return text.lstrip(".")
