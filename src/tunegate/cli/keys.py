"""`tunegate keys`: what each stage runs, written to requirements/stages, which is what DVC's keys depend on."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from tunegate.errors import InputError, RefusedError
from tunegate.files import read_text, read_yaml, write_text
from tunegate.repository.import_graph import LOCK, module_digest, stage_keys
from tunegate.repository.stage_keys import FOLDER, StageKey, differences, read_key
from tunegate.text import listed

PIPELINE, SOURCES = Path("dvc.yaml"), Path("data/sources.yaml")
_SHOWN = 8
_COMMAND = re.compile(r"-m tunegate\.stages (?P<options>(?:--\w+(?: |=)\S+ )*)(?P<stage>\w+)")


def keys(
    check: Annotated[bool, typer.Option("--check", help="Only say which files are out of date (exit 3).")] = False,
) -> None:
    """Write requirements/stages: the modules and packages that each stage runs. Example: tunegate keys

    A stage runs again when its file changes, and refuses to run when the file is not what is installed. After another
    version of a library, or of tunegate, the printed lines say which stages that concerns.
    """
    outdated = list(outdated_keys())
    for path, key, stage, changes in outdated:
        print(f"{path}: {'' if check else 'rewritten: '}{listed(changes, _SHOWN)}")
        if not check:
            write_text(path, key.text(stage))
    if outdated and check:
        names = ", ".join(str(path) for path, *_ in outdated)
        raise RefusedError(f"out of date: {names}", remedy="run `tunegate keys` and commit the files")
    if not outdated:
        print("requirements/stages: up to date")


def outdated_keys() -> Iterator[tuple[Path, StageKey, str, list[str]]]:
    """The files that are not what their stages run: path, right content, stage, and what differs.

    Of the project in the working directory, with the tunegate that is installed.
    """
    files = dict(key_files())
    if not files:
        return
    if not LOCK.is_file():
        raise InputError("no such file", place=str(LOCK), remedy=f"restore it: git checkout {LOCK}")
    for stage, key in stage_keys(
        files.values(), read_text(LOCK), {"ingest": _data_packages(), "train": _reward_packages()}
    ).items():
        for path in (path for path, name in files.items() if name == stage):
            if not path.is_file() or path.read_bytes() != key.text(stage).encode():
                yield path, key, stage, _changes(path, key)


def key_files() -> Iterator[tuple[Path, str]]:
    """Each stage's file and the name of its code, from the commands of dvc.yaml.

    Raises InputError for a stage of tunegate without a file, with one that DVC does not watch, or with one elsewhere.
    """
    written = read_yaml(PIPELINE)
    stages = written.get("stages") if isinstance(written, dict) else None
    for name, stage in stages.items() if isinstance(stages, dict) else ():
        definition = stage.get("do", stage) if isinstance(stage, dict) else {}
        command = definition.get("cmd", "") if isinstance(definition, dict) else ""
        for match in _COMMAND.finditer(command if isinstance(command, str) else " ; ".join(map(str, command))):
            place = f"{PIPELINE}: stages.{name}.cmd"
            path = re.search(r"--key (\S+)", match["options"])
            remedy = f"write `python -m tunegate.stages --key {FOLDER}/{match['stage']}.txt {match['stage']} …`"
            if path is None or "$" in path[1] or Path(path[1]).parent != FOLDER:
                raise InputError(f"no --key with a file of {FOLDER}", place=place, remedy=remedy)
            if path[1] not in definition.get("deps", []):
                raise InputError(f"{path[1]} is not in deps", place=place, remedy=f"add it to the deps of {name}")
            if not module_digest(f"tunegate.stages.{match['stage']}"):
                raise InputError(f"no stage {match['stage']!r}", place=place, remedy=remedy)
            yield Path(path[1]), match["stage"]


def _data_packages() -> set[str]:
    """The packages that sources take rows from, by the name that Python imports them by.

    Not those of base models: models/catalog.yaml has the checksum of every file that is taken from them.
    """
    sources = read_yaml(SOURCES).get("sources") or []
    return {source["package"] for source in sources if isinstance(source, dict) and source.get("package")}


def _reward_packages() -> set[str]:
    """The packages that the project's reward functions import."""
    packages: set[str] = set()
    for path in sorted(Path("rewards").rglob("*.py")):
        for node in ast.walk(ast.parse(read_text(path), str(path))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []
            packages |= {name.partition(".")[0] for name in names}
    return packages


def _changes(path: Path, key: StageKey) -> list[str]:
    if not path.is_file():
        return ["no such file"]
    try:
        changes = [change for _, change in differences(read_key(path), key)]
    except InputError as error:
        return [error.problem]
    return changes or ["other line ends, order or comments"]
