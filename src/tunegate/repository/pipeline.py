"""The stages of dvc.yaml at a commit, as DVC resolves them, and whether a lock entry is about what stands there.

Read from git's objects, without a checkout: DVC itself loads the project from them, so that variables, `foreach`,
`.dvcignore` and the md5 of folders mean what they mean in a run. Writes nothing. Git filters (LFS) are not applied.
A commit may be untrusted: what its dvc.yaml names outside the repository, a file or an address, is not opened.
The working tree can be read too, with the files that git does not know, as `dvc repro` does.
Whether a run ever happened is for `tunegate.repository.proof` to say.
"""

import dataclasses
import functools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from tunegate.errors import InputError
from tunegate.repository.lock import Entry, Lock, Locked
from tunegate.repository.outputs import Outputs
from tunegate.repository.remote import open_dvc
from tunegate.repository.revisions import Repository

_NOWHERE = "nothing"


@dataclasses.dataclass(frozen=True)
class Stage:
    """A stage as dvc.yaml defines it."""

    name: str
    cmd: Any
    """A command, or a list of them."""
    params: Mapping[str, Any]
    """Values at the commit, by `file:key`."""
    deps: Mapping[str, str]
    """Path from the project's folder, by the path that dvc.yaml says."""
    outs: Mapping[str, str]
    """The same of the outputs."""
    tracked: frozenset[str]
    """Outputs that git keeps (`cache: false`), as dvc.yaml says them."""
    remembered: bool
    """Whether DVC's run cache can hold runs of this stage."""
    frozen: bool
    """Whether DVC takes it as it is, whatever changed."""
    always: bool
    """Whether DVC runs it each time, whatever changed."""
    unprovable: tuple[str, ...]
    """Why no entry of it can be proven: what its definition says."""


class Pipeline:
    """The pipeline at a commit; made by `open_pipeline`."""

    def __init__(self, repo: Any, outputs: Outputs, *, working_tree: bool) -> None:
        self._repo = repo
        self._outputs = outputs
        self._working_tree = working_tree
        self._loaded = {
            str(stage.name): stage
            for stage in repo.index.stages
            if stage.path == repo.fs.join(repo.root_dir, "dvc.yaml")
        }
        self.stages = {name: self._stage(name, loaded) for name, loaded in self._loaded.items()}
        self._makers = {path: (name, out) for name, s in self.stages.items() for out, path in s.outs.items()}

    def makers(self, path: str) -> list[str]:
        """The stages whose outputs are `path`, in it, or around it; a path from the project's folder."""
        whole = f"{path}/"
        return sorted(
            {name for out, (name, _) in self._makers.items() if whole.startswith(f"{out}/") or out.startswith(whole)}
        )

    def upstream(self, path: str) -> frozenset[str]:
        """The stages that `path`, from the project's folder, is made by, and those that they depend on."""
        names: set[str] = set()
        waiting = self.makers(path)
        while waiting:
            name = waiting.pop()
            if name not in names:
                names.add(name)
                waiting += [maker for dep in self.stages[name].deps.values() for maker in self.makers(dep)]
        return frozenset(names)

    def md5(self, stage: Stage, path: str) -> str:
        """What a dependency that no stage makes, or an output that git keeps, is now; empty where it is not there."""
        loaded = self._loaded[stage.name]
        item = next(item for item in (*loaded.deps, *loaded.outs) if item.def_path == path)
        where = self._path(item)
        if added := next(self._around(self._added, where), None):
            return self._within(self._added[added], where.removeprefix(added))
        return self._md5(item)

    def outdated(self, stage: Stage, entry: Entry, lock: Lock) -> list[str]:
        """How what `entry` was run on differs from what stands at the commit; empty where it does not."""
        return [
            *_changed("cmd", {"": entry.raw["cmd"]}, {"": stage.cmd}),
            *_changed("", entry.params, stage.params),
            *self._outdated_deps(stage, entry, lock),
            *_unlike("outputs", entry.outs, stage.outs),
        ]

    def edited(self, stage: Stage, entry: Entry) -> list[str]:
        """Which outputs that git keeps are not what `entry` says came out."""
        problems = []
        for out in self._loaded[stage.name].outs:
            if out.def_path not in stage.tracked or out.def_path not in entry.outs:
                continue
            here, output = self._md5(out), entry.outs[out.def_path].md5
            if here != output:
                problems.append(f"{out.def_path}: {_short(output)} came out, {_short(here)} is in git")
        return problems

    def _stage(self, name: str, loaded: Any) -> Stage:
        from dvc.dependency import ParamsDependency

        files = [dep for dep in loaded.deps if isinstance(dep, ParamsDependency)]
        read = [file for file in files if self._readable(file)]
        params = {f"{file.def_path}:{key}": value for file in read for key, value in file.read_params().items()}
        deps = {dep.def_path: self._path(dep) for dep in loaded.deps if not isinstance(dep, ParamsDependency)}
        outs = {out.def_path: self._path(out) for out in loaded.outs}
        tracked = frozenset(out.def_path for out in loaded.outs if not out.use_cache)
        always = loaded.always_changed or loaded.is_callback
        why = tuple(_unprovable(loaded))
        return Stage(name, loaded.cmd, params, deps, outs, tracked, _remembered(loaded), loaded.frozen, always, why)

    def _readable(self, item: Any) -> bool:
        # One's own files are read as `dvc repro` reads them; a commit may be untrusted.
        return self._working_tree or _inside(item)

    def _path(self, item: Any) -> str:
        if not _inside(item):
            return str(item.def_path)
        return str(item.fs.relpath(item.fs_path, self._repo.root_dir))

    def _outdated_deps(self, stage: Stage, entry: Entry, lock: Lock) -> Iterator[str]:
        yield from _unlike("dependencies", entry.deps, stage.deps)
        for dep in self._loaded[stage.name].deps:
            if dep.def_path in stage.deps and dep.def_path in entry.deps:
                here, source = self._now(dep, stage.deps[dep.def_path], lock)
                ran = entry.deps[dep.def_path].md5
                if here != ran:
                    yield f"{dep.def_path}: ran on {_short(ran)}, {source} {_short(here)}"

    def _now(self, dep: Any, path: str, lock: Lock) -> tuple[str, str]:
        """The md5 that a dependency has now, and who says so."""
        if not _inside(dep):
            return "", "no commit names the content of what lies outside the repository:"
        if maker := next(self._around(self._makers, path), None):
            name, out = self._makers[maker]
            locked = lock[name].outs.get(out) if name in lock else None
            return (self._within(locked, path.removeprefix(maker)) if locked else ""), f"`{name}` gives"
        if added := next(self._around(self._added, path), None):
            return self._within(self._added[added], path.removeprefix(added)), f"{added}.dvc says"
        if inner := next((m for m in self._cached - self._files_added if m.startswith(f"{path}/")), None):
            return "", f"depend on the files, not on a folder around the output {inner}:"
        return self._md5(dep), "in git is"

    @staticmethod
    def _around(paths: Iterable[str], path: str) -> Iterator[str]:
        return (candidate for candidate in paths if path == candidate or path.startswith(f"{candidate}/"))

    def _within(self, locked: Locked, path: str) -> str:
        return self._outputs.md5_in(locked, path.strip("/")) if path else locked.md5

    def _md5(self, item: Any) -> str:
        if not self._readable(item):
            return ""
        # What dvc.lock does not name yet is hashed as DVC will when it writes it there.
        item.update_legacy_hash_name()
        if not item.exists:
            return ""
        inside = self._added_inside(item)
        return self._md5_of_folder(item, inside) if inside else str(item.get_hash().value)

    def _added_inside(self, item: Any) -> dict[tuple[str, ...], str]:
        """What `dvc add` made of single files in the folder `item`, by the steps to it from there."""
        folder = f"{self._path(item)}/"
        added = {path: self._added[path] for path in self._files_added if path.startswith(folder)}
        return {tuple(path.removeprefix(folder).split("/")): locked.md5 for path, locked in added.items()}

    @staticmethod
    def _md5_of_folder(item: Any, inside: Mapping[tuple[str, ...], str]) -> str:
        """The md5 of a folder in which `dvc pull` has put what its `.dvc` files name, also where it has not."""
        from dvc_data.hashfile.build import build
        from dvc_data.hashfile.hash_info import HashInfo

        tree: Any = build(item.local_cache, item.fs_path, item.fs, "md5", ignore=item.dvcignore, dry_run=True)[2]
        for steps, md5 in inside.items():
            # Where the file is, its bytes are what a stage reads, whatever the .dvc file says of them.
            if tree.get(steps) is None:
                tree.add(steps, None, HashInfo("md5", md5))
        tree.digest()
        return str(tree.hash_info.value)

    @functools.cached_property
    def _files_added(self) -> set[str]:
        return {path for path, locked in self._added.items() if locked.md5 and not locked.md5.endswith(".dir")}

    @functools.cached_property
    def _added(self) -> dict[str, Locked]:
        """What `dvc add` made, by path."""
        outs = (out for stage in self._repo.index.stages if not stage.cmd for out in stage.outs)
        return {path: Locked(path, str(out.hash_info.value), 0) for out in outs if (path := self._path(out))}

    @functools.cached_property
    def _cached(self) -> set[str]:
        cached = {stage.outs[out] for stage in self.stages.values() for out in stage.outs if out not in stage.tracked}
        return cached | set(self._added)


def open_pipeline(
    repository: Repository, commit: str | None, outputs: Outputs, *, place: str | None = None
) -> Pipeline:
    """The pipeline of the project at `commit`, or in the working tree for None.

    `place` names dvc.yaml in errors. Raises InputError where there is none, or DVC cannot make sense of it.
    """
    from dvc.exceptions import DvcException

    place = place or (f"{commit[:12]}:dvc.yaml" if commit else "dvc.yaml")
    if commit and repository.read(commit, "dvc.yaml") is None:
        raise InputError("no such file", place=place, remedy="name a commit that has a pipeline")
    try:
        repo = _load(repository, commit)
        if commit:
            # Two stages that make one path: it would be unclear which of them is meant.
            repo.index.check_graph()
        return Pipeline(repo, outputs, working_tree=commit is None)
    except DvcException as error:
        raise InputError(_words(error), place=place, remedy="`dvc stage list` must work") from None


def _load(repository: Repository, commit: str | None) -> Any:
    from dvc.fs import GitFileSystem
    from dvc.repo import Repo
    from dvc.scm import SCM

    if commit is None:
        return open_dvc(repository.root)
    scm = SCM(repository.run("rev-parse", "--show-toplevel").strip())
    files = GitFileSystem(scm=scm, rev=commit)
    return Repo("/" + repository.prefix.rstrip("/"), fs=files, scm=scm)


def _words(error: Exception) -> str:
    # DVC says what does not fit its schema only when it prints the error itself.
    faults = getattr(getattr(error, "exc", None), "errors", [])
    problems = [f"{'.'.join(map(str, fault.path))}: {fault.error_message}" for fault in faults]
    return "; ".join(problems) or " ".join(str(error).split())


def _remembered(loaded: Any) -> bool:
    # As DVC decides it, in Stage.run and in stage.cache._can_hash.
    if loaded.is_callback or loaded.always_changed or not (loaded.cmd and loaded.deps and loaded.outs):
        return False
    plain = [out for out in loaded.outs if not (out.is_metric or out.is_plot)]
    return (
        all(map(_inside, (*loaded.deps, *loaded.outs)))
        and all(out.use_cache for out in plain)
        and not any(out.persist for out in loaded.outs)
    )


def _unprovable(loaded: Any) -> Iterator[str]:
    # What switches off in dvc.yaml what a proof needs must not pass for a proof.
    if loaded.always_changed:
        yield "dvc.yaml says always_changed: DVC remembers no run of it"
    if loaded.frozen:
        yield "dvc.yaml says frozen: DVC takes its outputs as they are"
    if not loaded.cmd:
        yield "it has no command"
    if not loaded.deps:
        yield "it depends on nothing: DVC remembers no run of it"
    yield from (f"{out.def_path}: persists, so that what came out may be older" for out in loaded.outs if out.persist)
    items = (*loaded.deps, *loaded.outs)
    yield from (f"{item.def_path}: lies outside the repository" for item in items if not _inside(item))


def _inside(item: Any) -> bool:
    return item.protocol == "local" and bool(item.is_in_repo)


def _unlike(what: str, locked: Mapping[str, Any], defined: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"{path}: is not among the {what} in the run's record" for path in defined if path not in locked)
    yield from (f"{path}: is in the run's record, and not in dvc.yaml" for path in locked if path not in defined)


def _changed(key: str, ran: Any, here: Any) -> Iterator[str]:
    if isinstance(ran, Mapping) and isinstance(here, Mapping):
        for name in dict.fromkeys([*ran, *here]):
            inner = f"{key}.{name}".strip(".")
            yield from _changed(inner, ran.get(name, _NOWHERE), here.get(name, _NOWHERE))
    elif _text(ran) != _text(here):
        yield f"{key}: ran with {_text(ran)}, here {_text(here)}"


_text: Callable[[Any], str] = functools.partial(json.dumps, sort_keys=True, default=str, ensure_ascii=False)


def _short(md5: str) -> str:
    return (md5[:8] + (".dir" if md5.endswith(".dir") else "")) or _NOWHERE
