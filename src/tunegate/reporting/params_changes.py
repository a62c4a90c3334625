"""What people changed between two commits: parameters, policy, sources, catalogue, commands, packages, other files.

Reads the files that git tracks, never an output. Compares by key, so that comments and order do not count; a file that
cannot be read at one side is shown as such.
"""

import collections
import dataclasses
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from tunegate.errors import InputError
from tunegate.files import parse_yaml
from tunegate.repository.snapshot import Snapshot

FILES = {
    "params.yaml": "Parameters",
    "policy/gate.yaml": "Policy",
    "data/sources.yaml": "Sources of the rows",
    "models/catalog.yaml": "Base models",
    "dvc.yaml": "Pipeline",
}
"""The files that are compared key by key, and what they hold."""

ENVIRONMENT = "requirements/pipeline.txt"
_GENERATED = ("dvc.lock", "reports/")
_PACKAGE = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)", re.MULTILINE)
_NONE = "\N{EN DASH}"


@dataclasses.dataclass(frozen=True)
class Change:
    """A key with its value before and after; an en dash where it had none."""

    key: str
    old: str
    new: str


@dataclasses.dataclass(frozen=True)
class FileChanges:
    """What changed in one file; `title` says what it holds."""

    path: str
    title: str
    changes: list[Change]


def file_changes(before: Snapshot, after: Snapshot) -> list[FileChanges]:
    """The files of `FILES` that differ, in their order."""
    files = [FileChanges(path, title, _compared(path, before, after)) for path, title in FILES.items()]
    return [file for file in files if file.changes]


def package_changes(before: Snapshot, after: Snapshot) -> list[Change]:
    """Packages of the pipeline's lock file with another version, sorted by name."""
    old, new = (dict(_PACKAGE.findall(snapshot.text(ENVIRONMENT) or "")) for snapshot in (before, after))
    return _differences(old, new, sorted({*old, *new}))


def other_files(before: Snapshot, after: Snapshot) -> dict[str, int]:
    """Folder to number of files that differ in it and that no other section of the report shows."""
    commits = [commit for commit in (before.commit, after.commit) if commit]
    listed = after.repository.run("diff", "--name-only", "--relative", "-z", *commits, "--")
    reported = {*FILES, ENVIRONMENT}
    paths = [path for path in listed.split("\0") if path and path not in reported and not path.startswith(_GENERATED)]
    return dict(sorted(collections.Counter(_folder(path) for path in paths).items()))


def keyed_changes(before: Any, after: Any) -> list[Change]:
    """The keys on which two values, as read from YAML, differ, in the order of the file."""
    old, new = dict(_flat(before, "")), dict(_flat(after, ""))
    return _differences(old, new, list(dict.fromkeys([*new, *old])))


def _compared(path: str, before: Snapshot, after: Snapshot) -> list[Change]:
    if before.text(path) == after.text(path):
        return []
    return keyed_changes(_value(path, before), _value(path, after))


def _value(path: str, snapshot: Snapshot) -> Any:
    text = snapshot.text(path)
    if text is None:
        return {}
    try:
        return parse_yaml(text, place=snapshot.place(path)) or {}
    except InputError as error:
        return {"(file)": f"cannot be read: {error.problem}"}


def _differences(old: Mapping[str, Any], new: Mapping[str, Any], keys: list[str]) -> list[Change]:
    return [_change(key, old.get(key, _NONE), new.get(key, _NONE)) for key in keys if _differs(old, new, key)]


def _differs(old: Mapping[str, Any], new: Mapping[str, Any], key: str) -> bool:
    # By their text as well: 1 and 1.0 are equal, and mean different things to a strict reader.
    return key not in old or key not in new or repr(old[key]) != repr(new[key])


def _change(key: str, old: Any, new: Any) -> Change:
    if isinstance(old, tuple) and isinstance(new, tuple) and set(old) != set(new):
        old, new = (tuple(item for item in one if item not in other) for one, other in ((old, new), (new, old)))
    return Change(key, _text(old), _text(new))


def _flat(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from _flat(item, f"{key}.{name}".lstrip("."))
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for number, item in enumerate(value):
            yield from _flat(*_named(item, f"{key}[{number}]", key))
    else:
        yield key, tuple(value) if isinstance(value, list) else value


def _named(item: Any, numbered: str, key: str) -> tuple[Any, str]:
    """An item of a list under its name, so that one inserted above it does not make it differ."""
    if isinstance(item, dict) and isinstance(item.get("name"), str):
        return {name: value for name, value in item.items() if name != "name"}, f"{key}[{item['name']}]"
    return (item, f"{key}[{item}]") if isinstance(item, str) else (item, numbered)


def _text(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, tuple):
        return ", ".join(_text(item) for item in value) or _NONE
    return " ".join(str(value).split()) or '""'


def _folder(path: str) -> str:
    parent = PurePosixPath(path).parent
    return "." if parent == PurePosixPath() else "/".join(parent.parts[:3])
