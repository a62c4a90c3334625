"""requirements/stages/<stage>.txt: what a stage runs, a line for each module of tunegate, template and package.

    tunegate.files 3f2a9c…
    torch==2.13.0

The one source of a stage's key: DVC's `train` depends on that file and on no folder of code, and the lineage's `code`
and `lock` are digests of its lines, so that the two cannot disagree. `tunegate.repository.import_graph` makes them.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tunegate.errors import InputError
from tunegate.files import read_text

FOLDER = Path("requirements/stages")
REMEDY = "run `tunegate keys` and commit the files"
DIGITS = 32
"""Hexadecimal digits of a module's digest."""
PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\+]+)", re.MULTILINE)
"""A pinned package in a requirements file: name, and version without its local part."""


class StageKey(NamedTuple):
    """What a stage runs."""

    modules: Mapping[str, str]
    """Digest of the code by dotted name, sorted."""
    packages: Mapping[str, str]
    """Version by normalised name of the distribution, sorted; `a|b` where the lock has one for each Python."""

    @property
    def code(self) -> str:
        """sha256 of the modules' lines."""
        return sha256_of_text("".join(f"{name} {digest}\n" for name, digest in self.modules.items()))

    @property
    def environment(self) -> str:
        """sha256 of the packages' lines."""
        return sha256_of_text("".join(f"{name}=={version}\n" for name, version in self.packages.items()))

    def text(self, stage: str) -> str:
        """The content of the stage's file."""
        head = f"# What the stage `{stage}` runs. Written by `tunegate keys`; DVC runs the stage again when it changes."
        modules = [f"{name} {digest}" for name, digest in self.modules.items()]
        packages = [f"{name}=={version}" for name, version in self.packages.items()]
        return "\n".join([head, *modules, *packages, ""])


def parse_key(text: str, *, place: str) -> StageKey:
    """The content of a stage's file. Raises InputError with place and line for one that is not one."""
    modules: dict[str, str] = {}
    packages: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if match := re.fullmatch(rf"(tunegate[\w./-]*) ([0-9a-f]{{{DIGITS}}})", line):
            lines = modules
        elif match := PIN.fullmatch(line):
            lines = packages
        elif not line or line.startswith("#"):
            continue
        problem = "neither a module with its digest nor a pinned package" if not match else "listed twice"
        if not match or match[1] in lines:
            raise InputError(f"{problem}: {line[:60]!r}", place=f"{place}:{number}", remedy=REMEDY)
        lines[match[1]] = match[2]
    return StageKey(modules, packages)


def read_key(path: Path) -> StageKey:
    """The stage's file at `path`. Raises InputError where there is none, or it is damaged."""
    if not path.is_file():
        raise InputError("no such file", place=str(path), remedy=REMEDY)
    return parse_key(read_text(path), place=str(path))


def differences(old: StageKey, new: StageKey) -> list[tuple[str, str]]:
    """What differs, as (`code` or `environment`, a text such as `torch 2.13.0 → 2.14.0`)."""
    changes = []
    for name in sorted(old.modules.keys() | new.modules.keys()):
        if (before := old.modules.get(name)) != (after := new.modules.get(name)):
            what = "changed" if before and after else "is new" if after else "is gone"
            changes.append(("code", f"{name} {what}"))
    for name in sorted(old.packages.keys() | new.packages.keys()):
        if (was := old.packages.get(name, "none")) != (now := new.packages.get(name, "none")):
            changes.append(("environment", f"{name} {was} → {now}"))
    return changes


def sha256_of_text(text: str) -> str:
    """sha256 of a text as UTF-8, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()
