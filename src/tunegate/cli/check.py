"""`tunegate check`: what can be checked in a second, before every commit: the files that people write.

Reads params.yaml, dvc.yaml, dvc.lock, data/sources.yaml, models/catalog.yaml, policy/*.yaml and git's index. Imports no
library that computes, runs no stage, asks no remote. What takes longer, `make check` says.
"""

import dataclasses
import functools
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tunegate.errors import InputError, TunegateError
from tunegate.files import read_text, read_yaml
from tunegate.gate.policy import FILE as POLICY
from tunegate.gate.policy import Policy
from tunegate.params import Params, load_params, parse
from tunegate.repository.lock import FILE as LOCK
from tunegate.repository.lock import parse_lock
from tunegate.repository.revisions import Repository, open_repository
from tunegate.repository.snapshot import Snapshot
from tunegate.text import listed

if TYPE_CHECKING:
    from tunegate.data.sources.declaration import Source

PARAMS, PIPELINE, SOURCES, CATALOGUE = (
    Path(name) for name in ("params.yaml", "dvc.yaml", "data/sources.yaml", "models/catalog.yaml")
)
_LABELLED = ("accuracy", "macro_f1", "macro_precision", "macro_recall")
_CONFLICT = re.compile(rb"^(?:<{7}|>{7}) ", re.MULTILINE)
_LARGEST_TEXT = 1_000_000


@dataclasses.dataclass
class Project:
    """What has been read so far; None where that failed."""

    repository: Repository
    params: Params | None = None
    sources: "Sequence[Source] | None" = None


Look = Callable[[Project], Iterator[TunegateError]]
"""Yields what is wrong, or raises it where there is no more to say."""


def check() -> None:
    """Check the files that people write, in a second. Example: tunegate check

    Prints a line per problem: place, value, remedy. Exits with 1 when there is a problem; a warning is none.
    """
    project = Project(open_repository())
    # A file with conflict markers cannot be read: what else would be said of it is noise.
    problems = list(_caught(_conflicts, project)) or [p for look in _LOOKS for p in _caught(look, project)]
    warnings = [] if problems else list(_caught(_staleness, project))
    for level, messages in (("error", problems), ("warning", warnings)):
        # A problem that several checks find is printed once.
        for line in dict.fromkeys(map(_line, messages)):
            print(f"{level}: {line}")
    if problems:
        raise typer.Exit(1)


def _line(error: TunegateError) -> str:
    return f"{error.place}: {error.problem}" + (f" (fix: {error.remedy})" if error.remedy else "")


def _caught(look: Look, project: Project) -> Iterator[TunegateError]:
    try:
        yield from look(project)
    except TunegateError as error:
        yield error


def _conflicts(project: Project) -> Iterator[TunegateError]:
    names = filter(None, project.repository.run("ls-files", "-z").split("\0"))
    # In code Python finds them itself, and tests hold some on purpose.
    paths = [project.repository.root / name for name in dict.fromkeys(names) if not name.endswith(".py")]
    for path in paths:
        if path.is_file() and path.stat().st_size <= _LARGEST_TEXT and (hit := _CONFLICT.search(path.read_bytes())):
            name = path.relative_to(project.repository.root).as_posix()
            line = hit.string.count(b"\n", 0, hit.start()) + 1
            remedy = "run `tunegate lock merge --help`" if name == LOCK else "choose a side and drop the markers"
            yield InputError("a merge conflict is left", place=f"{name}:{line}", remedy=remedy)


def _params(project: Project) -> Iterator[TunegateError]:
    project.params = load_params(PARAMS)
    yield from ()


def _sources(project: Project) -> Iterator[TunegateError]:
    from tunegate.data.sources.declaration import load_sources

    project.sources = load_sources(SOURCES)
    yield from ()


def _catalogue(project: Project) -> Iterator[TunegateError]:
    from tunegate.models.catalogue import find_entry

    if project.params:
        find_entry(CATALOGUE, project.params.base.model, project.params.base.allowed_licenses)
    else:
        read_yaml(CATALOGUE)
    yield from ()


def _policies(project: Project) -> Iterator[TunegateError]:
    for path in sorted(Path("policy").glob("*.yaml")):
        yield from _caught(functools.partial(_policy, path), project)


def _policy(path: Path, project: Project) -> Iterator[TunegateError]:
    values = read_yaml(path)
    if path != Path(POLICY):
        return
    policy = parse(Policy, values, place=POLICY, remedy="docs/gate.md explains every key")
    slices = {name for source in project.sources or () for name in source.row.slices}
    for name in policy.slices.by if project.sources else ():
        if name not in slices:
            declared = f"known: {', '.join(sorted(slices))}" if slices else "they give none"
            problem = f"no source gives its rows the slice {name!r} ({declared})"
            yield InputError(problem, place=f"{POLICY}: slices.by", remedy=f"declare it in {SOURCES}, or drop it here")
    impossible = _impossible_metrics(project.sources or ())
    for name in policy.metrics:
        if name in impossible:
            yield InputError(impossible[name], place=f"{POLICY}: metrics.{name}", remedy="judge by another metric")


def _impossible_metrics(sources: "Sequence[Source]") -> dict[str, str]:
    """Metric to reason. A source that declares neither label nor messages may give rows of any kind."""
    if sources and all(source.row.label is not None for source in sources):
        return {"exact_match": "is for rows without a label, and every row has one"}
    if sources and all(source.row.is_conversation for source in sources):
        return dict.fromkeys(_LABELLED, "is for rows with a label, and no row has one")
    return {}


def _pipeline(project: Project) -> Iterator[TunegateError]:
    from tunegate.repository.outputs import open_outputs
    from tunegate.repository.pipeline import open_pipeline

    written = read_yaml(PIPELINE)
    with open_outputs(project.repository.root) as outputs:
        stages = open_pipeline(project.repository, None, outputs).stages.values()
    yield from _unknown_params(written["stages"], read_yaml(PARAMS))
    owned = [path for stage in stages for out, path in stage.outs.items() if out not in stage.tracked]
    tracked = project.repository.run("ls-files", "-z", "--", *owned) if owned else ""
    for path in filter(None, tracked.split("\0")):
        yield InputError("git tracks what DVC owns", place=path, remedy=f"git rm -r --cached {path}")


def _unknown_params(stages: dict[str, Any], written: Any) -> Iterator[TunegateError]:
    for name, stage in stages.items():
        for key in stage.get("do", stage).get("params", []):
            if isinstance(key, str) and "$" not in key and not _has(written, key):
                place = f"{PIPELINE}: stages.{name}.params"
                yield InputError(f"{PARAMS} has no {key}", place=place, remedy="name a section or key that it has")


def _has(values: Any, key: str) -> bool:
    for part in key.split("."):
        if not isinstance(values, dict) or part not in values:
            return False
        values = values[part]
    return True


def _keys(_project: Project) -> Iterator[TunegateError]:
    from tunegate.cli.keys import outdated_keys

    for path, _key, _stage, changes in outdated_keys():
        yield InputError(listed(changes, 3), place=str(path), remedy="run `tunegate keys` and commit the files")


def _lock(project: Project) -> Iterator[TunegateError]:
    file = project.repository.root / LOCK
    if file.is_file():
        parse_lock(read_text(file), place=LOCK)
    yield from ()


def _staleness(project: Project) -> Iterator[TunegateError]:
    """Whether dvc.lock is of these files; there is nothing to say where nothing has run yet."""
    from tunegate.repository.outputs import open_outputs
    from tunegate.repository.staleness import plan_stages

    with open_outputs(project.repository.root) as outputs:
        tree = Snapshot(project.repository, None, outputs)
        stages = plan_stages(tree) if tree.lock else []
        unknown = sorted(tree.lock.keys() - {stage.name for stage in stages})
    stale = [stage.name for stage in stages if stage.status != "skipped"]
    if stale:
        remedy = "run `dvc repro`; `tunegate plan` says why"
        yield InputError(f"stale: {', '.join(stale)}", place=LOCK, remedy=remedy)
    for name in unknown:
        yield InputError(f"{name} is not a stage of {PIPELINE}", place=LOCK, remedy="delete its entry")


_LOOKS: tuple[Look, ...] = (_params, _sources, _catalogue, _policies, _pipeline, _keys, _lock)
