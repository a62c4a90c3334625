"""Files that people write, as frozen, closed pydantic models: an unknown key is refused with the nearest known name.

`Closed` and `parse` serve params.yaml and every other such file (sources, catalogue, policy, releases). Turns
pydantic's errors into ours.
"""

import json
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tunegate.errors import InputError
from tunegate.text import did_you_mean

Share = Annotated[float, Field(ge=0, lt=1)]
Split = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Device = Literal["cpu", "cuda"]
Precision = Literal["fp32", "bf16"]


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
        # Strict, as JSON: "16", true and 7.0 are not whole numbers, while a list may become a tuple.
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
        return f"unknown key{did_you_mean(str(location[-1]), _known_keys(model, location[:-1]))}"
    message = fault["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    message = message if " must " in message else f"must be {message}"
    return f"{message} (got {fault['input']!r})" if not isinstance(fault["input"], dict) else message


def _known_keys(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    models: list[type[BaseModel]] = [model]
    for step in location:
        inner: list[type[BaseModel]] = []
        for candidate in models:
            for name, field in candidate.model_fields.items():
                if step in (name, field.alias):
                    inner.extend(_models_in(field.annotation))
        models = inner or models
    return [field.alias or name for candidate in models for name, field in candidate.model_fields.items()]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in getattr(annotation, "__args__", ()) for model in _models_in(argument)]


def _dotted(location: tuple[int | str, ...]) -> str:
    text = ""
    for step in location:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return text.lstrip(".")
