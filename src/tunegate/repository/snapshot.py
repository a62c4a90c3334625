"""A project at one commit, or as the working tree has it: its files, its lock, its parameters and its outputs.

Outputs are always the *locked* ones, also for the working tree: no run is known to have made anything else. Writes
nothing into the project.
"""

import dataclasses
import functools
from pathlib import Path
from typing import Any

from tunegate.errors import InputError
from tunegate.files import parse_json, parse_yaml, read_text
from tunegate.params import Params, parse
from tunegate.repository import lock as locks
from tunegate.repository.outputs import Outputs
from tunegate.repository.revisions import Repository

WORKING_TREE = "working tree"


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """The project at `commit`, or the working tree for None."""

    repository: Repository
    commit: str | None
    outputs: Outputs

    @property
    def name(self) -> str:
        """The commit, or `working tree`."""
        return self.commit or WORKING_TREE

    def place(self, path: str) -> str:
        """How errors name the project's file `path`."""
        return f"{self.commit[:12]}:{path}" if self.commit else path

    def text(self, path: str) -> str | None:
        """The text of a file that git tracks, or None where there is none."""
        if self.commit:
            return self.repository.read(self.commit, path)
        file = self.repository.root / path
        return read_text(file) if file.is_file() else None

    def yaml(self, path: str) -> Any:
        """The content of a YAML file. Raises InputError when it is missing."""
        return parse_yaml(self._present(path), place=self.place(path))

    def json(self, path: str) -> Any:
        """The content of a JSON file. Raises InputError when it is missing."""
        return parse_json(self._present(path), place=self.place(path))

    @functools.cached_property
    def params(self) -> Params:
        """params.yaml."""
        place = self.place("params.yaml")
        return parse(Params, self.yaml("params.yaml"), place=place, remedy="docs/params.md lists every key")

    @functools.cached_property
    def lock(self) -> dict[str, locks.Entry]:
        """dvc.lock by stage; empty where nothing was ever run."""
        text = self.text(locks.FILE)
        return {} if text is None else locks.parse_lock(text, place=self.place(locks.FILE))

    def locked(self, path: str) -> locks.Locked | None:
        """The hash that dvc.lock gives for the output `path`, or None."""
        return next((entry.outs[path] for entry in self.lock.values() if path in entry.outs), None)

    def output(self, path: str) -> Path:
        """The locked output `path`, read only. Raises InputError when it is not locked, lost or damaged."""
        return self.outputs.path_of(locks.output_of(self.lock, path, place=self.place(locks.FILE)))

    def _present(self, path: str) -> str:
        text = self.text(path)
        if text is None:
            raise InputError("no such file", place=self.place(path), remedy="restore it from git, or run `dvc repro`")
        return text
