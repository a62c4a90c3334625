"""The files of a source: in the repository, in a package, or the snapshot of an external source.

What no commit names is not read: a file must lie in the folder that DVC watches, a package must be installed in the
version that the lock file pins. Files are not opened, and no package is imported to find its resource.
"""

import importlib.metadata
import importlib.util
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tunegate.data.sources.declaration import FORMATS, RECORD_SUFFIX, Source, snapshot_of, suffixes_of
from tunegate.errors import InputError
from tunegate.files import read_text
from tunegate.text import did_you_mean

_PINNING = "pin it in requirements/pipeline.txt, install it with `make setup`, and run `tunegate keys`"


@dataclass(frozen=True)
class Located:
    """A file of a source: where it lies, and the name by which rows and errors call it."""

    path: Path
    name: str


def locate_all(sources: Iterable[Source], declared: Path, raw: Path, lock: Path) -> list[tuple[Source, list[Located]]]:
    """Each source with its files, sorted by name. Raises InputError where one is missing or belongs to another source.

    `declared` is sources.yaml, `raw` the folder that DVC watches, `lock` the file that pins their packages.
    """
    every = list(sources)
    snapshots = {snapshot_of(source, raw).as_posix(): source.name for source in every if source.external}
    located = []
    for source in every:
        files = locate(source, declared, raw, lock)
        for file in files:
            owner = snapshots.get(file.name, source.name)
            if owner != source.name:
                problem = f"{file.name} is the snapshot of the source {owner!r}"
                remedy = f"keep the files of {source.name} in a folder of their own below {raw}"
                raise InputError(problem, place=f"{declared}: {source.name}.path", remedy=remedy)
        located.append((source, files))
    return located


def locate(source: Source, declared: Path, raw: Path, lock: Path) -> list[Located]:
    """The files of `source`, sorted by name."""
    place = f"{declared}: {source.name}"
    if source.path is None:
        return [_snapshot(source, raw, place)]
    if source.package is None:
        return _in_repository(source.path, raw, f"{place}.path")
    return _in_package(source.path, source.package, lock, place)


def _snapshot(source: Source, raw: Path, place: str) -> Located:
    path = snapshot_of(source, raw)
    if not path.is_file():
        remedy = f"run `tunegate data refresh {source.name}`"
        if path.with_name(f"{path.name}.dvc").is_file():
            remedy = f"run `dvc pull {path}`, or `tunegate data refresh {source.name}` for a new one"
        raise InputError(f"no snapshot {path.as_posix()}", place=place, remedy=remedy)
    return Located(path, path.as_posix())


def _in_repository(pattern: str, raw: Path, place: str) -> list[Located]:
    if not PurePosixPath(pattern).is_relative_to(raw.as_posix()):
        remedy = f"keep the file in {raw}: DVC watches this folder and no other"
        raise InputError(f"must be below {raw} (got {pattern!r})", place=place, remedy=remedy)
    return _matching(Path(), pattern, raw.as_posix(), "", place)


def _in_package(pattern: str, package: str, lock: Path, place: str) -> list[Located]:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        problem = f"the package {package!r} is not installed"
        raise InputError(problem, place=f"{place}.package", remedy=_PINNING)
    _check_pinned(package, lock, place)
    return _matching(Path(spec.submodule_search_locations[0]), pattern, ".", f"{package}/", f"{place}.path")


def _check_pinned(package: str, lock: Path, place: str) -> None:
    names = importlib.metadata.packages_distributions().get(package, [])
    pins = dict(re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", read_text(lock), flags=re.MULTILINE))
    pinned = {_normal(name): version for name, version in pins.items()}
    for name in names:
        installed = importlib.metadata.version(name)
        if installed in pinned.get(_normal(name), "").split("|"):
            return
        version = pinned.get(_normal(name), "no version")
        problem = f"{name} {installed} is installed, but {lock} pins {version}"
        raise InputError(problem, place=f"{place}.package", remedy=_PINNING)
    problem = f"no installed distribution owns the package {package!r}, so no commit names its content"
    raise InputError(problem, place=f"{place}.package", remedy="install it from a wheel, or copy the file to data/raw")


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _matching(folder: Path, pattern: str, below: str, prefix: str, place: str) -> list[Located]:
    files = [folder / pattern]
    if "*" in pattern:
        # What `tunegate data refresh` writes next to a snapshot describes rows and contains none.
        files = [file for file in folder.glob(pattern) if prefix or not file.name.endswith(RECORD_SUFFIX)]
    by_name = {file.relative_to(folder).as_posix(): file for file in files if file.is_file()}
    if not by_name:
        every = [file.relative_to(folder).as_posix() for file in (folder / below).rglob("*")]
        candidates = [name for name in every if suffixes_of(name)[0] in FORMATS]
        problem = f"no such file: {prefix}{pattern}{did_you_mean(pattern, candidates)}"
        raise InputError(problem, place=place, remedy="correct the path, add the file, or run `dvc pull`")
    return [Located(by_name[name], f"{prefix}{name}") for name in sorted(by_name)]
