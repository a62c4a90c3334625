"""`tunegate params`: docs/params.md, written from the classes in tunegate.params."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tunegate.errors import RefusedError
from tunegate.files import read_text, write_text
from tunegate.params import Params

app = typer.Typer(no_args_is_help=True, help="The keys of params.yaml.")

DOCS = Path("docs/params.md")
HEAD = """# params.yaml

Every key, by section; each section belongs to the stage of that name in `dvc.yaml`. Written by `make docs` from
`tunegate.params`: edit there. An unknown key, a value out of range, and a value that YAML 1.1 and 1.2 read differently
are refused with their place.
"""
BOUNDS = (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"))


@app.command()
def docs(
    check: Annotated[bool, typer.Option("--check", help="Only say whether the file is up to date (exit 3).")] = False,
) -> None:
    """Write docs/params.md."""
    text = rendered()
    if not check:
        write_text(DOCS, text)
    elif not DOCS.is_file() or read_text(DOCS) != text:
        raise RefusedError("not what the code says", place=str(DOCS), remedy="run `tunegate params docs`")


def rendered() -> str:
    """The text of docs/params.md."""
    return HEAD + "".join(_section(name, field) for name, field in _fields(Params))


def _section(name: str, field: FieldInfo) -> str:
    model: type[BaseModel] = field.annotation  # type: ignore[assignment]  # every section is a model
    rows = "".join(_row(key, item) for key, item in _keys(model))
    doc = " ".join((model.__doc__ or "").split())
    return f"\n## {name}\n\n{doc}\n\n| key | type | default | range | meaning |\n|---|---|---|---|---|\n{rows}"


def _row(key: str, field: FieldInfo) -> str:
    default = "" if field.is_required() else f"`{json.dumps(field.default)}`"
    limits = ", ".join(dict.fromkeys(_limits([field.annotation, *field.metadata])))
    meaning = " ".join((field.description or "").split())
    cells = (f"`{key}`", _type(field.annotation), default, limits, meaning)
    return "| " + " | ".join(cell.replace("|", "\\|").replace("<", "&lt;") for cell in cells) + " |\n"


def _fields(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    return ((field.alias or name, field) for name, field in model.model_fields.items())


def _keys(model: type[BaseModel], above: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every key of a section; those inside of it as `outer.inner`, below free names `outer.*.inner`."""
    for key, field in _fields(model):
        inner = next(_models(field.annotation), None)
        if inner is None:
            yield above + key, field
        else:
            yield from _keys(inner, f"{above}{key}." + ("*." if get_origin(field.annotation) is dict else ""))


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)


def _type(annotation: Any) -> str:
    """A type as people write it in YAML."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(inner[0])
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in inner)
    if origin in (Union, UnionType):
        return " or ".join(_type(part) for part in inner)
    if origin in (tuple, list):
        return f"list of {_type(inner[0])}"
    names = {bool: "true or false", int: "whole number", float: "number", str: "text", NoneType: "`null`"}
    return names.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _limits(parts: list[Any]) -> Iterator[str]:
    """Every bound in an annotation and its metadata, outermost last."""
    for part in parts:
        if isinstance(part, FieldInfo):
            yield from _limits(part.metadata)
        elif get_origin(part) is not None and get_origin(part) is not Literal:
            yield from _limits([*get_args(part), *getattr(part, "__metadata__", ())])
        else:
            yield from (
                f"{sign} {getattr(part, name)}" for name, sign in BOUNDS if getattr(part, name, None) is not None
            )
            if getattr(part, "min_length", None):
                yield f"length ≥ {part.min_length}"
