"""Docker and buildah: turning a build folder with a Dockerfile into an image, with this machine's package sources.

Package settings, certificates, wheel folders and uv are mounted into the steps that install and leave nothing behind.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Literal

from tunegate.errors import MachineError, UsageError
from tunegate.release.package_sources import PackageSources, package_sources

Backend = Literal["docker", "buildah"]


def find_backend(name: str | None) -> Backend:
    """`name` if it works here, else Docker if it has a daemon, else buildah.

    Raises UsageError for an unknown name and MachineError, with what to install, when there is none.
    """
    if name not in (None, "docker", "buildah"):
        raise UsageError(f"no such backend (got {name!r})", place="--backend", remedy="choose docker or buildah")
    checks = {"docker": ["docker", "info"], "buildah": ["buildah", "info"]}
    backends: tuple[Backend, ...] = ("docker", "buildah")
    for backend in backends:
        if name in (None, backend) and _works(checks[backend]):
            return backend
    problem = f"{name} does not work here" if name else "neither a Docker daemon nor buildah works here"
    remedy = "start Docker, or install buildah (Debian: apt-get install buildah podman runc) and run as root"
    raise MachineError(problem, place="image build", remedy=remedy)


def build(backend: Backend, folder: Path, dockerfile: Path, tag: str) -> None:
    """Build the image `tag` from `folder` by `dockerfile`. Raises MachineError when a step fails."""
    with tempfile.TemporaryDirectory(prefix="tunegate-image-") as scratch:
        mounts, options = _sources(package_sources(), Path(scratch))
        steps = Path(scratch) / "Dockerfile"
        steps.write_text(_with_mounts(dockerfile.read_text(encoding="utf-8"), mounts), encoding="utf-8")
        tool = ["docker", "build"] if backend == "docker" else ["buildah", "build", "--format", "oci"]
        _run([*tool, *options, "--file", str(steps), "--tag", tag, str(folder)], f"cannot build {tag}")


def _sources(sources: PackageSources, scratch: Path) -> tuple[list[str], list[str]]:
    """(mounts of a RUN step, options of the build command)."""
    sources, folders = sources.mounted("/run/packages")
    texts = {"uv": ("/etc/uv/uv.toml", sources.uv_settings()), "pip": ("/etc/pip.conf", sources.pip_settings())}
    if sources.certificates:
        texts["ca"] = ("/etc/ssl/certs/ca-certificates.crt", sources.certificates.read_text(encoding="utf-8"))
    mounts, options = [], []
    for name, (target, text) in texts.items():
        (scratch / name).write_text(text, encoding="utf-8")
        mounts.append(f"--mount=type=secret,id={name},target={target}")
        options += ["--secret", f"id={name},src={scratch / name}"]
    for number, (target, folder) in enumerate(folders.items()):
        mounts.append(f"--mount=type=bind,from=packages{number},target={target}")
        options += ["--build-context", f"packages{number}={folder}"]
    uv = shutil.which("uv")
    if uv:
        shutil.copy2(uv, scratch / "uv-program")
        mounts.append("--mount=type=bind,from=programs,source=uv-program,target=/usr/local/bin/uv")
        options += ["--build-context", f"programs={scratch}"]
    return mounts, options


def _with_mounts(dockerfile: str, mounts: list[str]) -> str:
    """The Dockerfile with `mounts` in every RUN that calls uv or pip; the RUN may go over several lines."""
    steps: list[str] = []
    for line in dockerfile.splitlines(keepends=True):
        if steps and steps[-1].rstrip().endswith("\\"):
            steps[-1] += line
        else:
            steps.append(line)
    prefix = f"RUN {' '.join(mounts)} "
    return "".join(prefix + step.removeprefix("RUN ") if _installs(step) else step for step in steps)


def _installs(step: str) -> bool:
    return step.startswith("RUN ") and ("uv " in step or "pip " in step)


def _works(command: list[str]) -> bool:
    try:
        done = subprocess.run(command, capture_output=True, env=_environment(), timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _run(command: list[str], problem: str) -> None:
    done = subprocess.run(command, env=_environment(), check=False)
    if done.returncode:
        remedy = "the lines above say why; the base image must be reachable, or name another with --base-image"
        raise MachineError(f"{problem}: `{' '.join(command[:2])}` ended with {done.returncode}", remedy=remedy)


def _environment() -> dict[str, str]:
    # chroot needs no user namespaces and no init system, which machines that build images in containers lack.
    return {"BUILDAH_ISOLATION": "chroot", "DOCKER_BUILDKIT": "1", **os.environ}
