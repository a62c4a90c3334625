"""What a stage runs, from the import graph: the modules of tunegate that its code reaches, and what these import.

Lazy imports are included. What can decide no byte of an output is left out, and named here with the reason. A stage
refuses to run where its file (`tunegate.repository.stage_keys`) is not what is installed.
"""

import ast
import functools
import importlib.metadata
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path

import tunegate
from tunegate.errors import InputError, RefusedError
from tunegate.files import files_below, read_text
from tunegate.repository.stage_keys import DIGITS, PIN, REMEDY, StageKey, differences, read_key, sha256_of_text
from tunegate.text import listed

LOCK = Path("requirements/pipeline.txt")

MODULES_LEFT_OUT: Mapping[str, str] = {
    "tunegate.errors": "error texts: a stage that refuses writes nothing",
    "tunegate.params": "the schema of params.yaml: the values are parameters of the stage, and so in its key",
    "tunegate.tracking.artifacts": "fetching a base model, of whose every file the checksum is verified",
    "tunegate.tracking.outbox": "what MLflow is told, after a stage's files are decided",
    "tunegate.tracking.runs": "what MLflow is told, after a stage's files are decided",
    "tunegate.repository.working_copy": "the commit that MLflow is told",
}
"""Modules and rooms in no key, by reason. What they import is not followed either."""

PACKAGES_LEFT_OUT: Mapping[str, str] = {
    name: reason
    for reason, names in {
        "connections: no stage opens one but `base`, which verifies the checksum of what it fetches": (
            "anyio", "certifi", "charset-normalizer", "fsspec", "h11", "hf-xet", "httpcore2", "httpx2",
            "httpx2-jsfetch", "idna", "requests", "truststore", "urllib3",
        ),
        "progress bars, tables and colours on a terminal, and the command lines of other packages": (
            "click", "colorama", "rich", "tabulate", "termcolor", "tqdm", "typer", "wcwidth",
        ),
        "which process goes first": ("filelock",),
        "what the machine has and uses": ("psutil",),
        "compiling models and extensions, which no stage does": ("networkx", "setuptools"),
    }.items()
    for name in names
}  # fmt: skip
"""Packages in no key, by reason. What they require is not followed either."""

_STRING = r"""\"{3}(?:\\.|[^\\])*?\"{3}|'{3}(?:\\.|[^\\])*?'{3}|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'"""
_NO_CODE = re.compile(rf"({_STRING})|\s*#[^\n]*|\n[ \t]*(?=\n)", re.DOTALL)
"""Comments and empty lines; strings as the group, so that nothing is looked for in them."""

_TOP = re.compile(r"^([^\W\d]\w*)(?:/.*|(?:\.[\w-]+)*\.(?:py|so|pyd)),", re.MULTILINE)
"""In a RECORD, the importable name of a file."""

_NO_CODE_AT_ALL = sha256_of_text("")[:DIGITS]
"""Of a package that has a docstring only."""


def require_key(path: Path, stage: str) -> None:
    """Raise RefusedError unless the stage's file at `path` is what the stage would run here."""
    written = read_key(path)
    # What the stage reads by itself is known to `tunegate keys` alone.
    if LOCK.is_file():
        own = stage_keys([stage], read_text(LOCK), {})[stage]
    else:
        own = StageKey(_digests(_reached(stage, _import_graph())[0]), {})
    packages = {name: _here(name, version) for name, version in {**written.packages, **own.packages}.items()}
    if changes := [text for _, text in differences(written, own._replace(packages=packages))]:
        problem = f"not what this stage runs here: {listed(changes, 5)}"
        raise RefusedError(problem, place=str(path), remedy=f"{REMEDY}, or `make setup` for the environment it names")


def stage_keys(stages: Iterable[str], lock: str, more: Mapping[str, Collection[str]]) -> dict[str, StageKey]:
    """The key of each stage, from the import graph of the installed tunegate and `lock`, a requirements file.

    `more` names importable packages that a stage reads by itself, say for their data. The versions are the lock's,
    whatever the platform; a package that the lock does not have is left out.
    """
    graph = _import_graph()
    if re.search(r"^(<<<<<<<|>>>>>>>) ", lock, re.MULTILINE):
        raise InputError("a merge conflict is left", place=str(LOCK), remedy="choose a side and drop the markers")
    pins: dict[str, list[str]] = {}
    for name, version in PIN.findall(lock):
        pins.setdefault(normalised(name), []).append(version)
    owners = _owners()
    keys = {}
    for stage in stages:
        modules, imported = _reached(stage, graph)
        distributions = {name for top in {*imported, *more.get(stage, ())} for name in owners.get(top, ())}
        if loose := sorted((distributions & _required_by_tunegate()) - pins.keys()):
            problem = f"imported by the stage {stage}, and not pinned by ==: {', '.join(loose)}"
            raise InputError(problem, place=str(LOCK), remedy="write name==version, or restore the line from git")
        needed = sorted(with_requirements(distributions, pins.keys()))
        keys[stage] = StageKey(_digests(modules), {name: "|".join(sorted(set(pins[name]))) for name in needed})
    return keys


@functools.cache
def _import_graph() -> Callable[[str], Iterable[str]]:
    """The names that a module of the installed tunegate imports, lazily too."""
    import grimp

    try:
        graph = grimp.build_graph(
            "tunegate", include_external_packages=True, exclude_type_checking_imports=True, cache_dir=None
        )
    except grimp.exceptions.SourceSyntaxError as error:
        raise InputError("not valid Python", place=f"{error.filename}:{error.lineno}", remedy="mend the line") from None
    return graph.find_modules_directly_imported_by


def _digests(modules: Iterable[str]) -> dict[str, str]:
    """Digest by name, sorted, of the modules that have code and of the templates that they use."""
    names = sorted(modules)
    digests = {name: digest for name in names if (digest := module_digest(name)) != _NO_CODE_AT_ALL}
    return dict(sorted((digests | _template_digests(names)).items()))


def _template_digests(modules: Collection[str]) -> dict[str, str]:
    """Digest by path of the files in `templates` folders that the modules beside them name, and that these name."""
    digests = {}
    places = {path for name in modules if (path := _place_of(name)).is_file()}
    for package in {name.rpartition(".")[0] for name in modules}:
        folder = _place_of(package) / "templates"
        files = {path.name: read_text(path) for path in files_below(folder)} if folder.is_dir() else {}
        waiting = [read_text(path) for path in places if path.parent == folder.parent] if files else []
        while waiting:
            text = waiting.pop()
            for name in [name for name in files if f'"{name}"' in text]:
                waiting.append(files.pop(name))
                digests[f"{package}/templates/{name}"] = sha256_of_text(waiting[-1])[:DIGITS]
    return digests


@functools.cache
def module_digest(name: str) -> str:
    """Digest of a module's code, without comments, docstrings and empty lines; empty where there is no such module."""
    path = _place_of(name)
    path = path / "__init__.py" if path.is_dir() else path
    return sha256_of_text(code_of(read_text(path)))[:DIGITS] if path.is_file() else ""


def _place_of(name: str) -> Path:
    """A module's file, or a package's folder."""
    place = Path(tunegate.__file__).parent.joinpath(*name.split(".")[1:])
    return place if (place / "__init__.py").is_file() else place.with_suffix(".py")


def code_of(source: str) -> str:
    """The source without comments, docstrings and empty lines: they decide nothing.

    Cut from the text, and not printed from its syntax tree, so that every version of Python gives the same.
    """
    # As Python counts lines, and not as str.splitlines does.
    lines: list[str | None] = list(source.replace("\r\n", "\n").replace("\r", "\n").split("\n"))
    for first, last, text in _docstrings(ast.parse(source)):
        if _is_alone(lines[first - 1 : last], text):
            lines[first - 1 : last] = [None] * (last - first + 1)
    rest = "\n".join(line for line in lines if line is not None)
    return _NO_CODE.sub(lambda match: match[1] or "", rest).strip()


def _is_alone(lines: Collection[str | None], text: str) -> bool:
    """Whether lines hold a string of this value and nothing else."""
    try:
        return bool(ast.literal_eval("\n".join(line or "" for line in lines).strip()) == text)
    except (SyntaxError, ValueError):
        return False


def _docstrings(node: ast.Module | ast.stmt) -> Iterator[tuple[int, int, str]]:
    """First and last line, and value, of each string that is a statement of a module, class or function."""
    for statement in getattr(node, "body", []):
        value = statement.value if isinstance(statement, ast.Expr) else None
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            yield statement.lineno, statement.end_lineno or statement.lineno, value.value
        elif isinstance(statement, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _docstrings(statement)


def _reached(stage: str, imports: Callable[[str], Iterable[str]]) -> tuple[set[str], set[str]]:
    """The modules of tunegate that a stage reaches, with the packages around them, and the foreign ones they import."""
    inside: set[str] = set()
    outside: set[str] = set()
    waiting = [f"tunegate.stages.{stage}"]
    while waiting:
        name = waiting.pop()
        if name in inside or is_left_out(name):
            continue
        if name.partition(".")[0] != "tunegate":
            outside.add(name)
            continue
        inside.add(name)
        waiting += [*imports(name), *_around(name)]
    return inside, outside


def _around(name: str) -> Iterator[str]:
    """The packages around a module, but for `tunegate` itself: it says which version this is, and decides nothing."""
    while name.count(".") > 1:
        name = name.rpartition(".")[0]
        yield name


def is_left_out(name: str) -> bool:
    """Whether a module of tunegate is in no key."""
    return name == "tunegate" or any(name == left or name.startswith(f"{left}.") for left in MODULES_LEFT_OUT)


def with_requirements(distributions: Iterable[str], pinned: Collection[str]) -> set[str]:
    """These distributions and, again and again, what they require; of the pinned ones."""
    needed: set[str] = set()
    waiting = list(distributions)
    while waiting:
        name = waiting.pop()
        if name in needed or name in PACKAGES_LEFT_OUT or name not in pinned:
            continue
        needed.add(name)
        waiting += _requirements(name)
    return needed


def _requirements(name: str) -> list[str]:
    """What a distribution always requires, by normalised name: whatever the platform, without its extras."""
    return [_name_of(line) for line in _requires(name) if "extra ==" not in line]


def _required_by_tunegate() -> set[str]:
    """What tunegate requires to run the pipeline; other extras are optional."""
    lines = _requires("tunegate")
    always = [line for line in lines if "extra ==" not in line or "extra == 'pipeline'" in line.replace('"', "'")]
    return {_name_of(line) for line in always}


def _name_of(requirement: str) -> str:
    return normalised(re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0])


@functools.cache
def _requires(name: str) -> list[str]:
    """The requirements of an installed distribution as its metadata has them; none where it is not installed."""
    try:
        distribution = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return []
    fields = _fields(distribution, "Requires-Dist")
    return (distribution.requires or []) if fields is None else fields


@functools.cache
def _owners() -> dict[str, set[str]]:
    """The distributions that install each importable name, as `importlib.metadata.packages_distributions` tells.

    That parses every file of metadata as an e-mail and every list of files into paths, which takes most of a second.
    """
    owners: dict[str, set[str]] = {}
    for distribution in importlib.metadata.distributions():
        tops = (distribution.read_text("top_level.txt") or "").split()
        tops = tops or _TOP.findall(distribution.read_text("RECORD") or "")
        tops = tops or [path.parts[0].partition(".")[0] for path in distribution.files or ()]
        for name in _fields(distribution, "Name") or [distribution.name]:
            for top in set(tops):
                owners.setdefault(top, set()).add(normalised(name))
    return owners


def _fields(distribution: importlib.metadata.Distribution, name: str) -> list[str] | None:
    """The values of a field in a wheel's metadata, whose head ends at the first empty line; None without a METADATA."""
    text = distribution.read_text("METADATA")
    if text is None:
        return None
    head = text.replace("\r\n", "\n").partition("\n\n")[0]
    return re.findall(rf"^{name}:[ \t]*(\S.*)$", head, re.MULTILINE | re.IGNORECASE)


def _here(name: str, written: str) -> str:
    """The installed version, or what is `written` where that allows it, or nothing is installed on this platform.

    Without its local part (`+cpu`): which build of a version it is depends on the machine.
    """
    try:
        version = importlib.metadata.version(name).partition("+")[0]
    except importlib.metadata.PackageNotFoundError:
        return written
    return written if version in written.split("|") else version


def normalised(name: str) -> str:
    """A distribution's name as PEP 503 writes it."""
    return re.sub(r"[-_.]+", "-", name).lower()
