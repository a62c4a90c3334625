import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from lock_branches import two_branches
from miniature import Miniature


@pytest.fixture(scope="session")
def first_branches(
    first_miniature: Miniature, run: Callable[..., str], tmp_path_factory: pytest.TempPathFactory
) -> Miniature:
    """A miniature project with the two branches of tests/lock_branches.py. Read only."""
    root = tmp_path_factory.mktemp("branches") / "project"
    miniature = Miniature(Path(shutil.copytree(first_miniature.root, root, symlinks=True)), run)
    two_branches(miniature)
    return miniature


@pytest.fixture
def branches(first_branches: Miniature, tmp_path: Path) -> Miniature:
    """A copy of it, on the branch `tune`."""
    return Miniature(
        Path(shutil.copytree(first_branches.root, tmp_path / "project", symlinks=True)), first_branches.run
    )
