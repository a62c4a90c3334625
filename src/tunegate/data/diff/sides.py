"""What one commit offers to compare: the locked outputs of the data stages, its sources and expectations.

Reads git and DVC's cache through a snapshot, never the working tree's outputs. What an older commit does not lock is
None, not an error.
"""

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

from tunegate.errors import InputError
from tunegate.files import parse_json, parse_yaml, read_json
from tunegate.repository.snapshot import Snapshot

INGESTED, VALIDATED, PREPARED, TOKENS = "data/ingested", "data/validated", "data/prepared", "data/tokens"
OUTPUTS = (INGESTED, VALIDATED, PREPARED, TOKENS)
SOURCES, EXPECTATIONS = "data/sources.yaml", "data/expectations"


@dataclasses.dataclass(frozen=True)
class Side:
    """One commit's data; plain values and folders."""

    name: str
    folders: dict[str, Path]
    """Locked output to a folder with its content."""
    hashes: dict[str, str]
    """Locked output to its md5; of what git tracks, to the sha256 of its text."""
    licenses: dict[str, str | None]
    """Declared source to its licence."""
    suites: dict[str, dict[str, str]]
    """Suite to its expectations: a name to severity and bounds."""

    def file(self, output: str, name: str) -> Path | None:
        """The file `name` of a locked output, or None where it has none."""
        path = self.folders[output] / name if output in self.folders else None
        return path if path and path.is_file() else None

    def ledger(self, output: str) -> dict[str, Any]:
        """The ledger of a stage; empty where there is none."""
        path = self.file(output, "ledger.json")
        return dict(read_json(path)) if path else {}


NOTHING = Side("nothing", {}, {}, {}, {})
"""The side that a first commit is compared with."""


def side_of(snapshot: Snapshot | None) -> Side:
    """The data of a commit. Raises InputError when a locked output is lost, or a file cannot be read."""
    if snapshot is None:
        return NOTHING
    locked = {path: output for path in OUTPUTS if (output := snapshot.locked(path))}
    texts = {path: text for path in (SOURCES, *_suites(snapshot)) if (text := snapshot.text(path)) is not None}
    return Side(
        name=snapshot.name,
        folders={path: snapshot.output(path) for path in locked},
        hashes={path: output.md5 for path, output in locked.items()}
        | {path: hashlib.sha256(text.encode()).hexdigest() for path, text in texts.items()},
        licenses=_licenses(texts.get(SOURCES), snapshot.place(SOURCES)),
        suites={
            Path(path).stem: _expectations(text, snapshot.place(path))
            for path, text in texts.items()
            if path != SOURCES
        },
    )


def _suites(snapshot: Snapshot) -> list[str]:
    if snapshot.commit:
        files = snapshot.repository.files(snapshot.commit, EXPECTATIONS)
    else:
        root = snapshot.repository.root
        files = [path.relative_to(root).as_posix() for path in sorted((root / EXPECTATIONS).glob("*.json"))]
    return [path for path in files if path.endswith(".json")]


def _licenses(text: str | None, place: str) -> dict[str, str | None]:
    value = parse_yaml(text, place=place) if text else None
    sources = value.get("sources") if isinstance(value, dict) else None
    if text and not isinstance(sources, list):
        raise InputError("no list of sources", place=place, remedy="docs/data.md shows how sources are declared")
    named = [source for source in sources or () if isinstance(source, dict) and "name" in source]
    return {str(source["name"]): _text(source.get("license")) for source in named}


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _expectations(text: str, place: str) -> dict[str, str]:
    value = parse_json(text, place=place)
    items = value.get("expectations", []) if isinstance(value, dict) else []
    described: dict[str, str] = {}
    for item in items:
        kwargs = item.get("kwargs", {})
        column = kwargs.get("column") or ", ".join(kwargs.get("column_list", ()))
        name = f"{item.get('type')}({column})" if column else str(item.get("type"))
        number = sum(other.split(" #")[0] == name for other in described)
        bounds = [f"{key} {kwargs[key]!r}" for key in sorted(kwargs) if key not in ("column", "column_list")]
        key = f"{name} #{number + 1}" if number else name
        described[key] = "; ".join([str(item.get("severity", "critical")), *bounds])
    return described
