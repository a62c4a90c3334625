"""Which stages would run, and why: what dvc.yaml, params.yaml and the files say, against what a dvc.lock says.

A stage whose own command, parameters or files differ runs, unless the run cache knows the result. One that reads what
such a stage makes may run: it depends on whether that changes. Neither the outputs nor a remote are needed, so the
answer is the same in a fresh clone; the run cache asked is this machine's. Reads git and DVC; writes nothing.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, Literal

from tunegate.errors import InputError
from tunegate.repository.lock import Entry, Lock, Locked
from tunegate.repository.pipeline import Pipeline, Stage, open_pipeline
from tunegate.repository.runs import Runs, key_of
from tunegate.repository.snapshot import Snapshot
from tunegate.repository.stage_keys import FOLDER, differences, parse_key
from tunegate.text import listed

Kind = Literal[
    "new stage", "command", "params", "device", "data", "code", "environment", "file", "input", "output", "upstream"
]
"""`input`: another stage gives something else than it did; `upstream` a stage that must run first to know."""
Status = Literal["skipped", "restored", "may run", "runs"]

_SHOWN = 6
"""Modules or packages that one cause names."""

Hashes = Mapping[str, str | None]

_FOLDERS: dict[str, Kind] = {"data": "data", "src": "code", "requirements": "environment"}


@dataclasses.dataclass(frozen=True)
class Cause:
    """One reason for which a stage is not what was locked."""

    kind: Kind
    what: str
    """A path, a parameter's key or a stage."""
    text: str
    """The reason for people, for instance `train.learning_rate: 0.002 → 0.001`."""
    old: Any = None
    """A parameter's locked value."""
    new: Any = None
    """A parameter's value now."""


@dataclasses.dataclass(frozen=True)
class StaleStage:
    """What would become of one stage."""

    name: str
    status: Status
    causes: list[Cause]

    @property
    def after(self) -> list[str]:
        """The stages on whose results it depends whether this one runs."""
        return [cause.what for cause in self.causes if cause.kind == "upstream"]


def stale_stages(snapshot: Snapshot, against: Lock | None = None) -> list[StaleStage]:
    """The stages of `snapshot` that would run, may run or would be restored, in running order; see `plan_stages`."""
    return [stage for stage in plan_stages(snapshot, against) if stage.status != "skipped"]


def plan_stages(snapshot: Snapshot, against: Lock | None = None) -> list[StaleStage]:
    """What would become of every stage of `snapshot`, in running order.

    Compared with `against`, say the lock at a merge base, or else with the snapshot's own lock; then outputs that are
    nowhere count too. Raises InputError when dvc.yaml or dvc.lock cannot be read.
    """
    snapshot.yaml("dvc.yaml")  # Its errors name the line.
    pipeline = open_pipeline(snapshot.repository, snapshot.commit, snapshot.outputs)
    plan = _Plan(snapshot, pipeline, snapshot.lock if against is None else against, own=against is None)
    return [plan.stage(stage) for stage in _in_order(pipeline, snapshot.place("dvc.yaml"))]


class _Plan:
    """Goes through the stages in running order and remembers what their outputs will be."""

    def __init__(self, snapshot: Snapshot, pipeline: Pipeline, lock: Lock, *, own: bool) -> None:
        self._snapshot = snapshot
        self._pipeline = pipeline
        self._lock = lock
        self._own = own
        self._runs = Runs(snapshot.repository.root, remote=False)
        self._outputs: dict[str, str] = {}
        """The md5 of outputs so far, by path from the project's folder; only those that are known."""
        self._unknown: set[str] = set()
        """Stages whose outputs only a run will tell."""
        self._changed: set[str] = set()
        """Stages that will be restored, to other outputs than those locked."""

    def stage(self, stage: Stage) -> StaleStage:
        entry = self._lock.get(stage.name)
        now = {path: self._md5(stage, path) for path in stage.deps}
        files = {path: md5 for path, md5 in now.items() if not self._pipeline.makers(stage.deps[path])}
        own = [] if stage.frozen else list(self._explained(_own_causes(stage, entry, files), entry))
        upstream = [] if stage.frozen else list(self._upstream_causes(stage, entry, now))
        causes = [*own, *upstream]
        lost = list(self._lost(stage, entry)) if entry and self._own and not causes else []
        run = entry if entry and not causes else self._past_run(stage, now)
        status: Status = "skipped"
        if causes or lost:
            restored = run is not None and stage.remembered and self._restorable(run, stage)
            status = "restored" if restored else "runs" if own or lost or not self._waits(stage) else "may run"
        self._remember(stage, entry, run if status in ("skipped", "restored") else None)
        return StaleStage(stage.name, status, [*causes, *lost])

    def _explained(self, causes: Iterable[Cause], entry: Entry | None) -> Iterator[Cause]:
        """The causes; in place of a changed key file, the modules and packages that differ in it."""
        for cause in causes:
            locked = entry.deps.get(cause.what) if entry else None
            changes = self._key_changes(cause.what, locked.md5) if locked else []
            texts = {kind: [text for sort, text in changes if sort == kind] for kind in ("code", "environment")}
            for kind in filter(texts.get, texts):
                yield Cause(kind, cause.what, listed(texts[kind], _SHOWN))  # type: ignore[arg-type]
            if not changes:
                yield cause

    def _key_changes(self, path: str, md5: str) -> list[tuple[str, str]]:
        """What differs between the stage's key file that was locked, where git has it, and the one of now."""
        snapshot = self._snapshot
        now = snapshot.text(path) if PurePosixPath(path).is_relative_to(FOLDER.as_posix()) else None
        if now is None:
            return []
        for content in snapshot.repository.versions([snapshot.commit or "HEAD"], path).values():
            if hashlib.md5(content, usedforsecurity=False).hexdigest() == md5:
                try:
                    return differences(parse_key(content.decode(), place=path), parse_key(now, place=path))
                except (InputError, UnicodeDecodeError):
                    # One of them is damaged, or of an earlier form: it has changed, and that is all to say.
                    return []
        return []

    def _md5(self, stage: Stage, path: str) -> str | None:
        """What the stage will read there: empty where there is nothing, None where only a run will tell."""
        where = stage.deps[path]
        return self._outputs.get(where) if self._pipeline.makers(where) else self._pipeline.md5(stage, path)

    def _upstream_causes(self, stage: Stage, entry: Entry | None, now: Hashes) -> Iterator[Cause]:
        waits = [maker for path in stage.deps for maker in self._pending(stage, path)]
        yield from (Cause("upstream", maker, f"after {maker}") for maker in dict.fromkeys(waits))
        locked = entry.deps if entry else {}
        for path, where in stage.deps.items():
            md5 = self._pipeline.makers(where) and now[path]
            if md5 and path in locked and md5 != locked[path].md5:
                yield Cause("input", path, f"{path}: not the one it was run with")

    def _pending(self, stage: Stage, path: str) -> list[str]:
        where = stage.deps[path]
        vague = self._unknown if where in self._outputs else self._unknown | self._changed
        return [maker for maker in self._pipeline.makers(where) if maker in vague]

    def _waits(self, stage: Stage) -> bool:
        return any(self._pending(stage, path) for path in stage.deps)

    def _past_run(self, stage: Stage, now: Hashes) -> Entry | None:
        """The run that DVC would restore, where everything that the stage reads is known."""
        if self._waits(stage) or not all(now.values()):
            return None
        params: dict[str, dict[str, Any]] = {}
        for name, value in stage.params.items():
            file, _, key = name.partition(":")
            params.setdefault(file, {})[key] = value
        raw = {
            "cmd": stage.cmd,
            "deps": [{"path": path, "hash": "md5", "md5": now[path]} for path in sorted(now)],
            "params": params,
            "outs": [{"path": path} for path in sorted(stage.outs)],
        }
        newest = self._runs.newest(key_of({key: value for key, value in raw.items() if value}))
        return Entry(stage.name, newest) if newest else None

    def _lost(self, stage: Stage, entry: Entry) -> Iterator[Cause]:
        """Locked outputs that are not there, or not as locked."""
        for path, locked in entry.outs.items():
            if path in stage.tracked:
                now = self._pipeline.md5(stage, path)
                if now != locked.md5:
                    yield Cause("output", path, f"{path}: {'edited since it was made' if now else 'missing'}")
            elif not (self._present(stage.outs[path]) or self._reachable(locked)):
                yield Cause("output", path, f"{path}: neither here nor in DVC's cache, and there is no remote")

    def _present(self, path: str) -> bool:
        return self._snapshot.commit is None and (self._snapshot.repository.root / path).exists()

    def _restorable(self, run: Entry, stage: Stage) -> bool:
        return all(self._reachable(locked, tracked=path in stage.tracked) for path, locked in run.outs.items())

    def _reachable(self, locked: Locked, *, tracked: bool = False) -> bool:
        # What git keeps is in the cache of the machine that made it, and on no remote.
        outputs = self._snapshot.outputs
        return outputs.cached(locked) or (not tracked and outputs.remote is not None)

    def _remember(self, stage: Stage, entry: Entry | None, run: Entry | None) -> None:
        if run is None:
            self._unknown.add(stage.name)
            return
        if run is not entry:
            self._changed.add(stage.name)
        self._outputs |= {where: run.outs[path].md5 for path, where in stage.outs.items() if path in run.outs}


def _in_order(pipeline: Pipeline, place: str) -> list[Stage]:
    """Each stage after those whose outputs it reads, otherwise as dvc.yaml has them."""
    waiting, done = list(pipeline.stages.values()), dict[str, Stage]()
    while waiting:
        ready = (s for s in waiting if all(name in done for path in s.deps.values() for name in pipeline.makers(path)))
        following = next(ready, None)
        if following is None:
            problem = "stages that wait for each other: " + ", ".join(stage.name for stage in waiting)
            raise InputError(problem, place=place, remedy="break the circle")
        done[following.name] = following
        waiting.remove(following)
    return list(done.values())


def _own_causes(stage: Stage, entry: Entry | None, files: Hashes) -> Iterator[Cause]:
    """What differs between the stage and its locked run, apart from what other stages make."""
    if entry is None:
        yield Cause("new stage", stage.name, "new: never run")
        return
    if stage.always:
        yield Cause("command", stage.name, "dvc.yaml says always_changed")
    if stage.cmd != entry.raw["cmd"]:
        yield Cause("command", stage.name, "another command")
    yield from _param_causes(stage.params, entry.params)
    yield from _file_causes(stage, entry, files)
    for path in sorted(stage.outs.keys() - entry.outs.keys()):
        yield Cause("output", path, f"{path}: a new output")
    for path in sorted(entry.outs.keys() - stage.outs.keys()):
        yield Cause("output", path, f"{path}: no longer an output")


def _file_causes(stage: Stage, entry: Entry, files: Hashes) -> Iterator[Cause]:
    locked = entry.deps
    for path in sorted(stage.deps.keys() | locked.keys()):
        if path not in locked:
            yield Cause(kind_of(path), path, f"{path}: a new dependency")
        elif path not in stage.deps:
            yield Cause(kind_of(path), path, f"{path}: no longer a dependency")
        elif path in files and files[path] != locked[path].md5:
            yield Cause(kind_of(path), path, f"{path} changed" if files[path] else f"{path}: missing")


def _param_causes(new: Mapping[str, Any], old: Mapping[str, Any]) -> Iterator[Cause]:
    now, locked = _flat(new), _flat(old)
    for name in dict.fromkeys([*now, *locked]):
        if name in now and name in locked and now[name] == locked[name]:
            continue
        key = name.partition(":")[2]
        text = f"{key}: {_shown(locked, name)} → {_shown(now, name)}"
        yield Cause("device" if key.endswith(".device") else "params", key, text, locked.get(name), now.get(name))


def kind_of(path: str) -> Kind:
    """What a dependency is by the folder it lies in: data, code, environment or just a file."""
    return _FOLDERS.get(path.partition("/")[0], "file")


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Values by dotted key; an empty mapping is a value."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        flat |= _flat(value, f"{name}.") if isinstance(value, Mapping) and value else {name: value}
    return flat


def _shown(values: Mapping[str, Any], key: str) -> str:
    return json.dumps(values[key], ensure_ascii=False, default=str) if key in values else "(none)"
