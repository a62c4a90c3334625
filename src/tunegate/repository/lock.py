"""dvc.lock, as typed values: what each stage was run on, with what, and what came out.

Parses text, wherever it comes from (a file, a commit, one side of a merge), and writes it back as DVC does. A lock may
be part of an untrusted change: an invalid hash, or an output outside the project, is an error before it becomes a path.
Dependencies outside are only names here; a proof refuses them.
"""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from tunegate.errors import InputError
from tunegate.files import parse_yaml

FILE = "dvc.lock"
_REMEDY = "restore the file from git, or run `dvc repro`"
_MD5 = re.compile(r"[0-9a-f]{32}")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")


@dataclasses.dataclass(frozen=True)
class Locked:
    """A dependency or output with the hash that was locked."""

    path: str
    md5: str
    """Ends with `.dir` where it is a folder."""
    size: int


@dataclasses.dataclass(frozen=True)
class Entry:
    """One stage's run."""

    stage: str
    raw: dict[str, Any]
    """As it stands in the file: what the run cache's keys are made of."""

    @property
    def cmd(self) -> str:
        """The command that was run."""
        return str(self.raw["cmd"])

    @property
    def deps(self) -> dict[str, Locked]:
        """Dependencies by path."""
        return _paths(self.raw.get("deps", []))

    @property
    def outs(self) -> dict[str, Locked]:
        """Outputs by path."""
        return _paths(self.raw.get("outs", []))

    @property
    def params(self) -> dict[str, Any]:
        """Parameters by `file:key`, for instance `params.yaml:train`."""
        files = self.raw.get("params", {})
        return {f"{file}:{key}": value for file, values in files.items() for key, value in values.items()}


Lock = Mapping[str, Entry]


def parse_lock(text: str, *, place: str) -> dict[str, Entry]:
    """The entries of a dvc.lock by stage, in its order. Raises InputError when it is not one, or half a one."""
    content = parse_yaml(text, place=place, generated=True)
    stages = content.get("stages") if isinstance(content, dict) else None
    if not isinstance(stages, dict) or str(content.get("schema")) != "2.0":
        raise InputError("not a dvc.lock of schema 2.0", place=place, remedy=_REMEDY)
    for name, raw in stages.items():
        _check(name, raw, place)
    return {str(name): Entry(str(name), raw) for name, raw in stages.items()}


def dump_lock(lock: Lock) -> str:
    """The text of a dvc.lock, in DVC's own layout."""
    from dvc.utils.serialize import dumps_yaml

    return str(dumps_yaml({"schema": "2.0", "stages": {name: entry.raw for name, entry in lock.items()}}))


def output_of(lock: Lock, path: str, *, place: str) -> Locked:
    """The locked output `path`. Raises InputError when no stage has it."""
    for entry in lock.values():
        if path in entry.outs:
            return entry.outs[path]
    raise InputError(f"no stage has the output {path}", place=place, remedy="run `dvc repro` and commit dvc.lock")


def is_md5(value: object, *, folder: bool = False) -> bool:
    """Whether `value` is an md5 in hexadecimal; with `folder`, it may end with `.dir`."""
    return isinstance(value, str) and bool(_MD5.fullmatch(value.removesuffix(".dir") if folder else value))


def is_inside(path: object) -> bool:
    """Whether `path` is relative, normalised and leads nowhere but below the folder it is relative to."""
    if not isinstance(path, str) or _UNPRINTABLE.search(path):
        return False
    return all(part not in ("", ".", "..") for part in path.split("/"))


def _paths(items: list[dict[str, Any]]) -> dict[str, Locked]:
    return {item["path"]: Locked(item["path"], item["md5"], int(item.get("size", 0))) for item in items}


def _check(name: object, raw: object, place: str) -> None:
    where = f"{place}: {name}"
    if not isinstance(raw, dict) or not isinstance(raw.get("cmd"), str | list):
        raise InputError("a stage without a command", place=where, remedy=_REMEDY)
    params = raw.get("params", {})
    if not isinstance(params, dict) or not all(isinstance(values, dict) for values in params.values()):
        raise InputError("parameters without values", place=where, remedy=_REMEDY)
    for kind in ("deps", "outs"):
        items = raw.get(kind, [])
        if not isinstance(items, list):
            raise InputError(f"{kind}: not a list", place=where, remedy=_REMEDY)
        for item in items:
            if problem := _fault(item, kind):
                raise InputError(problem, place=where, remedy=_REMEDY)
        if len({item["path"] for item in items}) < len(items):
            raise InputError(f"{kind}: a path is listed twice", place=where, remedy=_REMEDY)


def _fault(item: object, kind: str) -> str:
    if not isinstance(item, dict) or not isinstance(item.get("path"), str):
        return f"{kind}: an item without a path"
    path = item["path"]
    if not path or _UNPRINTABLE.search(path) or (kind == "outs" and not is_inside(path)):
        return f"{path!r} is not a path inside the project"
    if "md5" not in item:
        return f"{path}: no md5"
    if not is_md5(item["md5"], folder=True):
        return f"{path}: {item['md5']!r} is not an md5"
    size = item.get("size", 0)
    return "" if isinstance(size, int) and size >= 0 else f"{path}: {size!r} is not a size"
