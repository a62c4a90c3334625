"""data/sources.yaml: where the rows come from, and which columns make a row.

A source is one or more files of the repository, below the folder `raw` beside sources.yaml (data/raw), or a resource of
an installed Python package whose version the lock file pins: what no commit names is not read. Reads sources.yaml and
the lock file. Does not know what is inside the files, and never imports a package to find its resource.
"""

import importlib.metadata
import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from tunegate.data.nearest import did_you_mean
from tunegate.data.sources.templates import check_template
from tunegate.errors import InputError
from tunegate.files import read_text, read_yaml
from tunegate.params import Closed, parse

FORMATS = (".csv", ".jsonl", ".parquet")
ROLES = ("system", "user", "assistant")
REMEDY = "docs/data.md shows every key of data/sources.yaml"


class MessageTemplate(Closed):
    """One message of a conversation, as templates."""

    role: str
    """system, user or assistant, or a template that gives one of them."""
    content: str
    """What is said."""

    _check = field_validator("role", "content")(check_template)


class RowTemplate(Closed):
    """How a record becomes a row. `{column}` stands for a column's value; what is not given has a default."""

    id: str | None = None
    """Stable and unique. Default: the column `id`, or else a hash of the content."""
    group: str | None = None
    """Rows of one group never sit on both sides of a split. Default: the id, or else a hash of the question."""
    text: str | None = None
    """The question."""
    label: str | None = None
    """The answer, one of a few."""
    messages: str | Annotated[tuple[MessageTemplate, ...], Field(min_length=1)] | None = None
    """A conversation: `"{column}"` that holds a list of role and content, or a list of such templates."""
    slices: dict[str, str] = Field(default={})
    """Named subgroups that get their own metrics. Without a value in a record, the row is in no such subgroup."""

    @field_validator("id", "group", "text", "label")
    @classmethod
    def _is_template(cls, value: str | None) -> str | None:
        return None if value is None else check_template(value)

    @field_validator("messages")
    @classmethod
    def _is_column(cls, value: object) -> object:
        if isinstance(value, str) and not re.fullmatch(r"\{[^{}]+\}", value):
            raise ValueError("'{column}' with the conversation, or a list of role and content")
        return value

    @field_validator("slices")
    @classmethod
    def _are_templates(cls, value: dict[str, str]) -> dict[str, str]:
        return {name: check_template(template) for name, template in value.items()}

    @model_validator(mode="after")
    def _is_one_kind(self) -> "RowTemplate":
        if self.messages is not None and (self.text is not None or self.label is not None):
            raise ValueError("either messages, or text and label")
        if (self.text is None) != (self.label is None):
            raise ValueError("text and label together")
        return self


class Source(Closed):
    """One source of rows."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
    """Names the source in rows, ledgers and reports."""
    path: Annotated[str, Field(min_length=1)]
    """A .csv, .jsonl or .parquet file below data/raw, or one inside the package. `*` is allowed."""
    package: Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")] | None = None
    """The import name of an installed package that the lock file pins."""
    license: Annotated[str, Field(min_length=1)] | None = None
    """The SPDX identifier of the licence the rows are under."""
    row: RowTemplate = RowTemplate()
    """How a record becomes a row."""

    @field_validator("path")
    @classmethod
    def _stays_inside(cls, value: str) -> str:
        path = PurePosixPath(value)
        if path.is_absolute() or ".." in path.parts:
            raise ValueError("a relative path without '..'")
        if path.suffix not in FORMATS:
            raise ValueError(f"a path that ends with {', '.join(FORMATS)}")
        return value


class Sources(Closed):
    """The whole of data/sources.yaml."""

    sources: Annotated[tuple[Source, ...], Field(min_length=1)]
    """Read in this order."""


@dataclass(frozen=True)
class Located:
    """A file of a source: where it lies, and the name by which rows and errors call it."""

    path: Path
    name: str


def load_sources(path: Path) -> tuple[Source, ...]:
    """The sources declared in `path`. Raises InputError with key, value and remedy."""
    sources = parse(Sources, read_yaml(path), place=str(path), remedy=REMEDY).sources
    seen: dict[str, int] = {}
    for index, source in enumerate(sources):
        if source.name in seen:
            problem = f"the name {source.name!r} is taken by sources[{seen[source.name]}]"
            raise InputError(problem, place=f"{path}: sources[{index}].name", remedy="give each source its own name")
        seen[source.name] = index
    return sources


def locate(source: Source, declared: Path, raw: Path, lock: Path) -> list[Located]:
    """The files of `source`, sorted by name; `declared` is sources.yaml, `raw` the folder that DVC
    watches, `lock` the file that pins every package.
    """
    place = f"{declared}: {source.name}"
    if source.package is None:
        return _in_repository(source, raw, f"{place}.path")
    return _in_package(source, source.package, lock, place)


def _in_repository(source: Source, raw: Path, place: str) -> list[Located]:
    if not PurePosixPath(source.path).is_relative_to(raw.as_posix()):
        remedy = f"keep the file in {raw}: DVC watches this folder and no other"
        raise InputError(f"must be below {raw} (got {source.path!r})", place=place, remedy=remedy)
    return _matching(Path(), source.path, raw.as_posix(), "", place)


def _in_package(source: Source, package: str, lock: Path, place: str) -> list[Located]:
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        problem = f"the package {package!r} is not installed"
        raise InputError(problem, place=f"{place}.package", remedy=f"pin it in {lock}, then install from {lock}")
    _check_pinned(package, lock, place)
    return _matching(Path(found.submodule_search_locations[0]), source.path, ".", f"{package}/", f"{place}.path")


def _check_pinned(package: str, lock: Path, place: str) -> None:
    names = importlib.metadata.packages_distributions().get(package, [])
    pins = dict(re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", read_text(lock), flags=re.MULTILINE))
    pinned = {_normal(name): version for name, version in pins.items()}
    for name in names:
        installed = importlib.metadata.version(name)
        if pinned.get(_normal(name)) == installed:
            return
        wanted = pinned.get(_normal(name), "no version")
        problem = f"{name} {installed} is installed, but {lock} pins {wanted}"
        raise InputError(problem, place=f"{place}.package", remedy="install what the lock file pins, or pin this one")
    problem = f"no installed distribution owns the package {package!r}, so no commit names its content"
    raise InputError(problem, place=f"{place}.package", remedy="install it from a wheel, or copy the file to data/raw")


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _matching(folder: Path, pattern: str, below: str, prefix: str, place: str) -> list[Located]:
    files = [file for file in folder.glob(pattern) if file.is_file()] if "*" in pattern else [folder / pattern]
    found = {file.relative_to(folder).as_posix(): file for file in files if file.is_file()}
    if not found:
        known = [file.relative_to(folder).as_posix() for file in (folder / below).rglob("*") if file.suffix in FORMATS]
        problem = f"no such file: {prefix}{pattern}{did_you_mean(pattern, known)}"
        raise InputError(problem, place=place, remedy="correct the path, add the file, or run `dvc pull`")
    return [Located(found[name], f"{prefix}{name}") for name in sorted(found)]
