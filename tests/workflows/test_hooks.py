"""The pre-commit hooks of a new project, in a real repository, without a network."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from miniature import Miniature

from tunegate.repository.lock import Entry, dump_lock, parse_lock


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new project with its hooks installed, whose .venv is the environment these tests run in."""
    home = tmp_path_factory.mktemp("hooks")
    folder = home / "project"
    subprocess.run([sys.executable, "-m", "tunegate.cli", "init", str(folder)], check=True, capture_output=True)
    (folder / ".venv").mkdir()
    (folder / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    record = (
        "import environment as e, json; e.RECORD.write_text(json.dumps({'lock': e.fingerprint(), 'groups': ['dev']}))"
    )
    paths = {"PYTHONPATH": "requirements", "TUNEGATE_VENV": ".venv"}
    subprocess.run([sys.executable, "-c", record], check=True, cwd=folder, env={**os.environ, **paths})
    assert git(folder, "add", ".").returncode == 0
    subprocess.run([sys.executable, "-m", "pre_commit", "install"], check=True, cwd=folder, env=surroundings(folder))
    return folder


def surroundings(folder: Path) -> dict[str, str]:
    """An environment of a person with a name, without a network, and without the repository around these tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "TUNEGATE_"))}
    people = ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL")
    nowhere = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    return {**kept, **dict.fromkeys(people, "someone"), **nowhere, "PRE_COMMIT_HOME": str(folder.parent / "cache")}


def git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["git", *arguments], cwd=folder, check=False, capture_output=True, text=True, env=surroundings(folder)
    )


def test_a_sound_project_can_be_committed_and_unsound_changes_cannot(project: Path) -> None:
    first = git(project, "commit", "-m", "A new project")
    assert first.returncode == 0, first.stdout + first.stderr

    params = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(params.replace("  rank: 16", "  rnak: 16"))
    refused = git(project, "commit", "-a", "-m", "a mistyped key")
    assert refused.returncode == 1
    quick, whole = (refused.stdout + refused.stderr).split("make check...")
    assert "error: params.yaml: train.rnak: unknown key; did you mean 'rank'? (fix: " in quick
    assert "train.rnak: unknown key; did you mean 'rank'?" in whole
    (project / "params.yaml").write_text(params)

    (project / "settings.ini").write_text("key = " + "AKIA" + "IOSFODNN7" + "ABCDEFG\n")
    git(project, "add", "settings.ini")
    refused = git(project, "commit", "-m", "a key")
    assert refused.returncode == 1
    assert "AWS Access Key" in refused.stdout + refused.stderr
    assert git(project, "log", "--oneline").stdout.count("\n") == 1


def test_a_push_with_a_run_that_never_was_is_stopped(miniature: Miniature, tmp_path: Path) -> None:
    root = miniature.root
    (root / ".venv").mkdir()
    (root / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    subprocess.run([sys.executable, "-m", "pre_commit", "install"], check=True, cwd=root, env=surroundings(root))
    git(root, "init", "--bare", "-b", "main", str(tmp_path / "origin.git"))
    git(root, "remote", "add", "origin", str(tmp_path / "origin.git"))
    honest = git(root, "push", "origin", "main")
    assert honest.returncode == 0, honest.stdout + honest.stderr

    lock = parse_lock((root / "dvc.lock").read_text(), place="dvc.lock")
    outs = [
        out | {"md5": "0" * 32} if out["path"].endswith(".parquet") else out for out in lock["evaluate"].raw["outs"]
    ]
    forged = Entry("evaluate", lock["evaluate"].raw | {"outs": outs})
    (root / "dvc.lock").write_text(dump_lock({**lock, "evaluate": forged}))
    git(root, "commit", "--no-verify", "-qam", "Better, I swear")
    refused = git(root, "push", "origin", "main")
    assert refused.returncode == 1
    assert "not proven: evaluate" in refused.stdout + refused.stderr
