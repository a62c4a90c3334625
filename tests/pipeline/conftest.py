"""A project of the tiny profile that has run once, and copies of it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def finished(
    make_project: Callable[[Path], Path], run: Callable[..., str], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A project in which `dvc repro` has run once and been committed. Read only: copy it to change it."""
    project = make_project(tmp_path_factory.mktemp("finished") / "project")
    said = run("dvc", "repro", cwd=project)
    (project.parent / "first.log").write_text(said)
    run("git", "add", "-A", cwd=project)
    run("git", "commit", "-qm", "The first model", cwd=project)
    return project


@pytest.fixture
def project(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished project, cache included."""
    return Path(shutil.copytree(finished, tmp_path / "project", symlinks=True))
