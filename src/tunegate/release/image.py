"""From a proven package to a bento, and from the bento to an OCI image.

Reads bentofile.yaml and what it includes; writes a bento into BentoML's store and an image into Docker's or buildah's.
A bento's version is derived from its content and its commit: the same content is the same version, and is not built
twice.
"""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tunegate.errors import MachineError
from tunegate.files import read_json, sha256_of
from tunegate.models.manifest import verify
from tunegate.release.builders import Backend, build, find_backend
from tunegate.repository.lineage import digest
from tunegate.repository.working_copy import UNVERSIONED, checkout

BENTOFILE = "bentofile.yaml"
PACKAGE = Path("models/package")
BASE_IMAGE = "TUNEGATE_BASE_IMAGE"
"""The environment variable from which the service's build settings take the base image."""


@dataclass(frozen=True, slots=True)
class Bento:
    """A bento in BentoML's store."""

    tag: str
    folder: Path
    lineage_key: str


def build_bento(project: Path, *, base_image: str | None = None) -> Bento:
    """Build the project's bento, offline, unless the store has one of the same content.

    Raises RefusedError when the package is not what its manifest says, MachineError when BentoML fails.
    """
    manifest = verify(project / PACKAGE)
    state = checkout(project)
    commit = state.commit + ("-dirty" if state.dirty else "") if state.commit != UNVERSIONED else ""
    version = _version(project, commit, base_image)
    tag = f"tunegate:{version}"
    folder = _folder_of(tag)
    if folder is None:
        labels = ["--label", f"lineage_key={manifest.lineage.key[:63]}", "--label", f"commit={commit}"]
        environment = {**os.environ, **({BASE_IMAGE: base_image} if base_image else {})}
        _bentoml(["build", ".", "--version", version, *labels, "--output", "tag"], project, environment)
        folder = _folder_of(tag)
    if folder is None:
        raise MachineError(f"BentoML built {tag} and does not have it", remedy="check BENTOML_HOME and its disk")
    return Bento(tag, folder, manifest.lineage.key)


def build_image(project: Path, *, backend: str | None, base_image: str | None, tag: str | None) -> tuple[str, Backend]:
    """Build the project's image; return its tag and what built it.

    `backend`, `base_image` and `tag` have defaults where None: Docker before buildah, what the environment variable
    TUNEGATE_BASE_IMAGE names or the official slim image of the running Python, and the bento's own tag.
    """
    chosen = find_backend(backend)
    base_image = base_image or os.environ.get(BASE_IMAGE)
    if base_image is None and chosen == "buildah":
        # Unlike Docker, buildah has no registry that names without one belong to.
        base_image = f"docker.io/library/python:{sys.version_info.major}.{sys.version_info.minor}-slim"
    bento = build_bento(project, base_image=base_image)
    name = tag or f"localhost/{bento.tag}"
    build(chosen, bento.folder, bento.folder / "env" / "docker" / "Dockerfile", name)
    return name, chosen


def _version(project: Path, commit: str, base_image: str | None) -> str:
    content = read_json(project / PACKAGE / "manifest.json")
    sources = sorted((project / "src" / "tunegate").rglob("*.py"))
    files = {path.relative_to(project).as_posix(): sha256_of(path) for path in sources}
    files |= {name: sha256_of(project / name) for name in (BENTOFILE, "requirements/serve.txt")}
    return digest([content, files, commit, base_image or ""])[:16]


def _folder_of(tag: str) -> Path | None:
    done = subprocess.run(
        [sys.executable, "-m", "bentoml", "get", tag, "--output", "path"],
        # BentoML breaks a long path into lines of the terminal's width.
        env={**os.environ, "COLUMNS": "10000"},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.strip().splitlines()
    return Path(lines[-1]) if done.returncode == 0 and lines else None


def _bentoml(arguments: list[str], project: Path, environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "bentoml", *arguments]
    done = subprocess.run(command, cwd=project, env=environment, stdout=sys.stderr, check=False)
    if done.returncode:
        remedy = "the lines above say why; `bentoml build` in the project's folder shows it again"
        raise MachineError(f"`bentoml {arguments[0]}` ended with {done.returncode}", place=BENTOFILE, remedy=remedy)
