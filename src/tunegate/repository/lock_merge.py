"""Three versions of a dvc.lock, merged stage by stage into one that names only runs that happened.

A stage that one side left alone is the other's. What both sides changed differently is dropped, and so is what was run
on it, unless a side or DVC's run cache has a run with just that command, parameters and dependencies: it is the entry.
Nothing is combined out of two entries. git merges dvc.yaml and params.yaml by itself: whether the entries fit the
merged files, `tunegate.repository.proof` and `dvc repro` find out.
"""

import dataclasses
import graphlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from tunegate.errors import InputError
from tunegate.repository.lock import Entry, Lock
from tunegate.repository.runs import key_of

Raw = dict[str, Any]
FindRuns = Callable[[str], list[Raw]]
"""The runs in the run cache with a key."""

_CONFLICT = object()


@dataclasses.dataclass(frozen=True)
class Merged:
    """A merged dvc.lock."""

    lock: dict[str, Entry]
    dropped: Mapping[str, str]
    """Why, by stage: `dvc repro` must run them."""
    restored: Mapping[str, str]
    """Why neither side's entry would do, by stage, where the run cache had one that does."""


def merge(base: Lock, ours: Lock, theirs: Lock, find_runs: FindRuns) -> Merged:
    """The merge of two locks with their common ancestor. Raises InputError where the two are cyclic together."""
    merging = _Merge(base, ours, theirs, find_runs)
    for name in _order(base, ours, theirs):
        merging.add(name)
    names = dict.fromkeys([*ours, *theirs])
    lock = {name: merging.done[name] for name in names if name in merging.done}
    return Merged(lock, merging.dropped, merging.restored)


class _Merge:
    def __init__(self, base: Lock, ours: Lock, theirs: Lock, find_runs: FindRuns) -> None:
        self.base, self.ours, self.theirs, self.find_runs = base, ours, theirs, find_runs
        self.done: dict[str, Entry] = {}
        self.dropped: dict[str, str] = {}
        self.restored: dict[str, str] = {}

    def add(self, name: str) -> None:
        """Decide the entry of one stage, after those that it depends on."""
        base, ours, theirs = (_raw(side, name) for side in (self.base, self.ours, self.theirs))
        raw = _three_way(base, ours, theirs)
        if raw is None:
            return
        if raw is _CONFLICT:
            reason = "both sides changed it" if ours and theirs else "one side removed it, the other changed it"
        else:
            entry = Entry(name, raw)
            reason = self._mismatch(entry, self.ours if raw == ours else self.theirs)
            if not reason:
                self.done[name] = entry
                return
        run = self._run_of(name) if raw is not _CONFLICT or (ours and theirs) else None
        if run is None:
            self.dropped[name] = reason
            return
        self.done[name] = Entry(name, run)
        if run not in (ours, theirs):
            self.restored[name] = reason

    def _mismatch(self, entry: Entry, side: Lock) -> str:
        """Why an entry of `side` does not fit the entries decided so far, or nothing."""
        for path, dep in entry.deps.items():
            for maker, out in self._makers(path):
                if maker in self.dropped:
                    return f"it was run on {path}, and `{maker}` is dropped"
                output = self.done[maker].outs[out].md5
                before = side[maker].outs[out].md5 if maker in side and out in side[maker].outs else None
                if output != (dep.md5 if out == path else before):
                    return f"it was run on another {path} than `{maker}` makes"
        return ""

    def _run_of(self, name: str) -> Raw | None:
        inputs = self._inputs(name)
        if inputs is None:
            return None
        key = key_of(inputs)
        sides = [raw for lock in (self.ours, self.theirs) if (raw := _raw(lock, name)) and key_of(raw) == key]
        runs = sides or self.find_runs(key)
        # Where the same run had several results, `dvc repro` decides between them.
        return runs[0] if runs and all(raw == runs[0] for raw in runs) else None

    def _inputs(self, name: str) -> Raw | None:
        """What the stage would be run on in the merged project, as far as the locks can tell."""
        sides = [_raw(side, name) or {} for side in (self.base, self.ours, self.theirs)]
        cmd, deps, params, outs = (
            _deep(*(_by_path(side.get(part)) for side in sides)) for part in ("cmd", "deps", "params", "outs")
        )
        deps = self._with_outputs(deps)
        if deps is None or any(map(_conflicts, (cmd, deps, params))):
            return None
        inputs: Raw = {"cmd": cmd}
        inputs |= {"deps": [deps[path] for path in sorted(deps)]} if deps else {}
        inputs |= {"params": params} if params else {}
        return inputs | {"outs": [{"path": path} for path in sorted(outs)]}

    def _with_outputs(self, deps: Mapping[str, Any]) -> dict[str, Any] | None:
        """The dependencies, with the outputs of the stages decided so far; None where those are not decided."""
        resolved = {}
        for path, dep in deps.items():
            makers = list(self._makers(path))
            if any(maker in self.dropped or out != path for maker, out in makers):
                return None
            outputs = [out for maker, _ in makers for out in self.done[maker].raw["outs"] if out["path"] == path]
            resolved[path] = outputs[0] if outputs else dep
        return resolved

    def _makers(self, path: str) -> Iterator[tuple[str, str]]:
        """The stages, decided or dropped, that make `path`, a folder around it or something in it."""
        for name in [*self.done, *self.dropped]:
            sides = [self.done] if name in self.done else [self.ours, self.theirs]
            outs = {out for side in sides if name in side for out in side[name].outs}
            yield from ((name, out) for out in outs if _overlap(out, path))


def _order(*locks: Lock) -> Iterable[str]:
    makers = [(name, out) for lock in locks for name, entry in lock.items() for out in entry.outs]
    graph: dict[str, set[str]] = {}
    for lock in locks:
        for name, entry in lock.items():
            before = {maker for maker, out in makers for dep in entry.deps if maker != name and _overlap(out, dep)}
            graph.setdefault(name, set()).update(before)
    try:
        return list(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        problem = "together the two sides are a cycle: " + " → ".join(error.args[1])
        raise InputError(problem, place="dvc.lock", remedy="take one side's dvc.lock and run `dvc repro`") from None


def _raw(lock: Lock, name: str) -> Raw | None:
    return lock[name].raw if name in lock else None


def _three_way(base: Any, ours: Any, theirs: Any) -> Any:
    if theirs in (ours, base):
        return ours
    return theirs if ours == base else _CONFLICT


def _deep(base: Any, ours: Any, theirs: Any) -> Any:
    """A three-way merge, key by key where all three are mappings; `_CONFLICT` stands where both changed."""
    sides = (base, ours, theirs)
    if not all(isinstance(side, Mapping) for side in sides):
        return _three_way(base, ours, theirs)
    missing = object()
    merged = {}
    for key in dict.fromkeys(key for side in sides for key in side):
        value = _deep(*(side.get(key, missing) for side in sides))
        if value is not missing:
            merged[key] = value
    return merged


def _conflicts(value: Any) -> bool:
    return value is _CONFLICT or (isinstance(value, Mapping) and any(_conflicts(item) for item in value.values()))


def _by_path(part: Any) -> Any:
    """A list of locked paths as a mapping; everything else as it is, nothing as an empty mapping."""
    if isinstance(part, list) and all(isinstance(item, dict) and "path" in item for item in part):
        return {item["path"]: item for item in part}
    return {} if part is None else part


def _overlap(one: str, other: str) -> bool:
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")
