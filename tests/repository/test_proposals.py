from collections.abc import Callable
from pathlib import Path

import pytest

from tunegate.errors import RefusedError, UsageError
from tunegate.files import write_text
from tunegate.repository.proposals import propose
from tunegate.repository.revisions import Repository, open_repository

Run = Callable[..., str]


@pytest.fixture
def repository(tmp_path: Path, run: Run) -> Repository:
    write_text(tmp_path / "below/params.yaml", "rank: 8\n")
    write_text(tmp_path / "other", "x\n")
    run("git", "init", "-q", "-b", "main", cwd=tmp_path)
    run("git", "add", "-A", cwd=tmp_path)
    run("git", "commit", "-qm", "first", cwd=tmp_path)
    write_text(tmp_path / "other", "changed, and not committed\n")
    return open_repository(tmp_path / "below")


def test_a_proposal_is_one_file_on_a_new_branch_and_touches_nothing_else(repository: Repository, run: Run) -> None:
    head = repository.resolve("HEAD")
    made = propose(repository, "search/a", head, "params.yaml", "rank: 16\n", "Rank 16")
    assert repository.resolve("search/a") == made
    assert run("git", "diff", "--name-only", head, made, cwd=repository.root) == "below/params.yaml\n"
    assert repository.read(made, "params.yaml") == "rank: 16\n"
    assert repository.resolve("HEAD") == head
    assert run("git", "status", "--porcelain", cwd=repository.root) == " M other\n"
    assert (repository.root / "params.yaml").read_text() == "rank: 8\n"


def test_the_same_proposal_again_is_the_same_and_another_is_refused(repository: Repository) -> None:
    head = repository.resolve("HEAD")
    made = propose(repository, "a", head, "params.yaml", "rank: 16\n", "Rank 16")
    assert propose(repository, "a", head, "params.yaml", "rank: 16\n", "Rank 16, later") == made
    with pytest.raises(RefusedError, match="holds something else"):
        propose(repository, "a", head, "params.yaml", "rank: 32\n", "Rank 32")
    assert repository.resolve("a") == made
    with pytest.raises(UsageError, match="not a name for a branch"):
        propose(repository, "a..b", head, "params.yaml", "rank: 32\n", "Rank 32")
