"""`tunegate init`: a new repository, made from the files of tunegate's own.

Reads the template: tunegate's repository itself, or its copy in an installed wheel. Which files it has is said once, in
pyproject.toml under tool.hatch.build. Writes them into a new folder, changed by the three rules in `project_files` and
nowhere else, and adds tunegate's own wheel where no index can have it. An example (examples/<name>) is what differs
from such a project. It does not run the pipeline, and does not know what the files mean.
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

import tunegate
from tunegate.errors import InputError, MachineError
from tunegate.files import atomic_folder, files_below, read_text, write_text
from tunegate.repository.git import output_of, run_git

PACKAGE = Path(tunegate.__file__).resolve().parent
SHIPPED = "tunegate/template/"
OVERLAY = Path(__file__).resolve().parent / "project"
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
DEFAULT_NAME = "permit-helpdesk"
WHEELS = "requirements/wheels"
PINNED = ("requirements/dev.txt", "requirements/pipeline.txt", "requirements/serve.txt")


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that does not exist yet, or is empty.")],
    name: Annotated[str, typer.Option("--name", help="The project's name; DIR's name unless given.")] = "",
    example: Annotated[str, typer.Option("--example", help="Start from an example, such as route-encoder.")] = "",
) -> None:
    """Start a repository for a model of your own: it works at once, then put your data in.

    Example: tunegate init my-model && cd my-model && dvc repro
    """
    place = folder.resolve()
    if place == Path.cwd() or (place.exists() and (not place.is_dir() or any(place.iterdir()))):
        raise InputError(
            "exists and is not empty, or is the working directory", place=str(folder), remedy="name a new folder"
        )
    with atomic_folder(place) as new:
        for path, text in project_files(name or place.name, example).items():
            write_text(new / path, text)
        _add_own_wheel(new / WHEELS)
        _git_init(new)
    print(f"{folder} is ready. Next:\n  cd {folder}\n  git add . && git commit -m 'A new project'\n  dvc repro")


def project_files(name: str, example: str = "") -> dict[str, str]:
    """Path to text of every file in a new project: the template's, or the example's, except for three rules.

    Raises InputError when `name` is not a name for a model, or there is no such example.
    """
    if not re.fullmatch(NAME, name):
        problem = f"must be letters, digits, '.', '_' and '-', a letter or digit first (got {name!r})"
        raise InputError(problem, place="the project's name", remedy="choose one with --name")
    sources = template() | (example_files(example) if example else {})
    files = {path: read_text(source) for path, source in sources.items()}
    # 1. The lock names tunegate.
    for path in PINNED:
        files[path] += f"tunegate=={tunegate.__version__}\n"
    # 2. The model has a name of its own.
    files["params.yaml"] = files["params.yaml"].replace(f"  name: {example or DEFAULT_NAME}\n", f'  name: "{name}"\n')
    # 3. What speaks of the project itself.
    for source in files_below(OVERLAY):
        path = source.relative_to(OVERLAY).as_posix()
        if not (example and path in example_files(example)):
            files[path] = read_text(source).replace("{name}", name)
    return files


def template() -> dict[str, Path]:
    """Path in a new project to the file it comes from. Raises MachineError when tunegate is installed incompletely."""
    shipped = PACKAGE / "template"
    if shipped.is_dir():
        return {source.relative_to(shipped).as_posix(): source for source in files_below(shipped)}
    root = PACKAGE.parents[1]
    if not (root / "pyproject.toml").is_file():
        raise MachineError("no template", place=str(PACKAGE), remedy="install tunegate again, from its wheel")
    from hatchling.builders.wheel import WheelBuilder

    files = {file.distribution_path: Path(file.path) for file in WheelBuilder(str(root)).recurse_included_files()}
    return {
        target.removeprefix(SHIPPED): source for target, source in sorted(files.items()) if target.startswith(SHIPPED)
    }


def example_files(example: str) -> dict[str, Path]:
    """Path in a new project to the example's file. Raises InputError, with the examples there are, for another."""
    folder = PACKAGE / "examples" if (PACKAGE / "examples").is_dir() else PACKAGE.parents[1] / "examples"
    names = sorted(child.name for child in folder.iterdir() if child.is_dir()) if folder.is_dir() else []
    if example not in names:
        remedy = f"choose one of: {', '.join(names)}"
        raise InputError(f"no example {example!r}", place="--example", remedy=remedy)
    return {source.relative_to(folder / example).as_posix(): source for source in files_below(folder / example)}


def _add_own_wheel(folder: Path) -> None:
    """Build tunegate into `folder` when this is its repository: no index has what is not released."""
    if (PACKAGE / "template").is_dir():
        return
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    built = subprocess.run(command, cwd=PACKAGE.parents[1], capture_output=True, text=True, check=False)
    if built.returncode:
        problem = f"tunegate's wheel cannot be built: {built.stderr.strip()[-300:]}"
        raise MachineError(problem, place=WHEELS, remedy="`make setup` installs what building needs")


def _git_init(folder: Path) -> None:
    done = run_git(folder, "init", "--quiet", "--initial-branch", "main", other_repository=True)
    output_of(done, f"git init {folder}")
