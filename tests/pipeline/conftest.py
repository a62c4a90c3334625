"""A project of the tiny profile that has run once, and copies of it."""

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def finished(
    make_project: Callable[[Path], Path], run: Callable[..., str], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A project in which `dvc repro` has run once and been committed. Read only: copy it to change it.

    The processes of one run of pytest share it.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "finished"
    project = folder / "project"
    with Path(f"{folder}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "first.log").exists():
            make_project(project)
            output = run("dvc", "repro", cwd=project)
            run("git", "add", "-A", cwd=project)
            run("git", "commit", "-qm", "The first model", cwd=project)
            (folder / "first.log").write_text(output)
    return project


@pytest.fixture
def project(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished project, cache included."""
    return Path(shutil.copytree(finished, tmp_path / "project", symlinks=True))
