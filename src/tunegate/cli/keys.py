"""`tunegate keys`: what each stage runs, written to requirements/stages, which is what DVC's keys depend on."""

import ast
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from tunegate.errors import InputError, RefusedError, TunegateError
from tunegate.files import read_text, read_yaml, write_text
from tunegate.repository.import_graph import LOCK, stage_keys
from tunegate.repository.stage_keys import StageKey, differences, parse_key
from tunegate.text import listed

PIPELINE, SOURCES = Path("dvc.yaml"), Path("data/sources.yaml")
_SHOWN = 8


def keys(
    check: Annotated[bool, typer.Option("--check", help="Only say which files are out of date (exit 3).")] = False,
) -> None:
    """Write requirements/stages: the modules and packages that each stage runs. Example: tunegate keys

    A stage runs again when its file changes, and refuses to run when the file is not what is installed. After another
    version of a library, or of tunegate, the printed lines say which stages that concerns.
    """
    outdated = list(outdated_keys())
    for path, key, stage, changes in outdated:
        print(f"{path}: {listed(changes, _SHOWN)}")
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
    for stage, key in stage_keys(
        files.values(), read_text(LOCK), {"ingest": _data_packages(), "train": _reward_packages()}
    ).items():
        for path in (path for path, name in files.items() if name == stage):
            text = read_text(path) if path.is_file() else ""
            if text != key.text(stage):
                yield path, key, stage, _changes(path, text, key)


def key_files() -> Iterator[tuple[Path, str]]:
    """Each stage's file and the name of its code, from the commands of dvc.yaml."""
    written = read_yaml(PIPELINE)
    stages = written.get("stages") if isinstance(written, dict) else None
    for stage in stages.values() if isinstance(stages, dict) else ():
        command = stage.get("do", stage).get("cmd", "") if isinstance(stage, dict) else ""
        words = shlex.split(command) if isinstance(command, str) else []
        if "--key" in words:
            place = words.index("--key")
            name = next(word for word in words[place + 2 :: 2] if not word.startswith("--"))
            yield Path(words[place + 1]), name


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


def _changes(path: Path, text: str, key: StageKey) -> list[str]:
    try:
        changes = [change for _, change in differences(parse_key(text, place=str(path)), key)]
    except TunegateError as error:
        return [f"{error.place}: {error.problem}" if isinstance(error, InputError) else error.problem]
    return changes or ["another form of the same"]
