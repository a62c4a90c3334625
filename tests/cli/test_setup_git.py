import shutil
from pathlib import Path

from lock_branches import merge_line_by_line, two_branches, verify
from miniature import Miniature

from tunegate.files import read_text, write_text
from tunegate.repository.lock import parse_lock


def setup(miniature: Miniature, *options: str) -> str:
    return miniature.run("tunegate", "setup-git", *options, cwd=miniature.root)


def test_with_the_driver_a_merge_keeps_what_was_run_and_repro_runs_the_rest(branches: Miniature) -> None:
    setup(branches)
    output = branches.run("git", "merge", "--no-edit", "main", cwd=branches.root)
    assert "dvc.lock: train: dropped (both sides changed it)" in output
    merged = parse_lock(read_text(branches.root / "dvc.lock"), place="")
    assert "tokenize" in merged
    assert not {"train", "evaluate", "package", "score"} & set(merged)
    verify(branches, "--head", "HEAD", "--quick", code=3)
    output = branches.run("dvc", "repro", cwd=branches.root)
    assert "Running stage 'train'" in output
    assert "Stage 'evaluate' is cached - skipping run" in output
    branches.commit("The merge's run", repro=False)
    verify(branches, "--head", "HEAD")


def test_with_the_driver_a_known_combination_needs_no_run(branches: Miniature) -> None:
    branches.git("checkout", "-q", "-b", "tried", "main")
    branches.git("checkout", "-q", "main")
    merge_line_by_line(branches)
    branches.git("merge", "-q", "--no-edit", "tune")
    branches.run("dvc", "repro", "-q", "--force", "train", cwd=branches.root)
    branches.git("checkout", "-q", "--force", "tune")
    setup(branches)
    write_text(branches.root / ".git/info/attributes", "dvc.lock merge=tunegate-lock\n")
    output = branches.run("git", "merge", "--no-edit", "tried", cwd=branches.root)
    assert "train: restored from the run cache" in output
    branches.run("dvc", "checkout", "-q", cwd=branches.root)
    assert "Running stage" not in branches.run("dvc", "repro", cwd=branches.root)
    verify(branches, "--head", "HEAD")


def test_a_clone_without_the_driver_stops_at_a_conflict(branches: Miniature, tmp_path: Path) -> None:
    setup(branches)
    clone = tmp_path / "clone"
    branches.run("git", "clone", "-q", str(branches.root), str(clone), cwd=tmp_path)
    output = branches.run("git", "merge", "--no-edit", "origin/main", cwd=clone, code=1)
    assert "Merge conflict in dvc.lock" in output


def test_setup_git_says_what_it_did_does_it_once_and_undoes_it(miniature: Miniature) -> None:
    config, attributes = miniature.root / ".git/config", miniature.root / ".git/info/attributes"
    write_text(attributes, "*.bin binary")
    before = read_text(config), read_text(miniature.root / ".gitattributes")
    output = setup(miniature)
    assert "git config merge.tunegate-lock.driver:" in output
    assert read_text(attributes) == "*.bin binary\n/dvc.lock merge=tunegate-lock\n"
    assert "nothing to do" in setup(miniature)
    assert "removed" in setup(miniature, "--remove")
    assert "nothing to do" in setup(miniature, "--remove")
    assert read_text(attributes) == "*.bin binary\n"
    assert (read_text(config), read_text(miniature.root / ".gitattributes")) == before


def test_setup_git_makes_the_safe_default_where_it_is_missing(miniature: Miniature) -> None:
    write_text(miniature.root / ".gitattributes", "* text=auto\n")
    assert ".gitattributes: dvc.lock -merge (commit this" in setup(miniature)
    assert read_text(miniature.root / ".gitattributes") == "* text=auto\ndvc.lock -merge\n"


def test_a_project_below_the_repositorys_top_has_its_own_lock_merged(miniature: Miniature, tmp_path: Path) -> None:
    top = tmp_path / "top"
    shutil.copytree(miniature.root, top / "model", symlinks=True, ignore=shutil.ignore_patterns(".git"))
    miniature.run("git", "init", "-q", "-b", "main", cwd=top)
    miniature.run("git", "add", "-A", cwd=top)
    miniature.run("git", "commit", "-qm", "All", cwd=top)
    below = Miniature(top / "model", miniature.run)
    two_branches(below)
    setup(below)
    output = miniature.run("git", "merge", "--no-edit", "main", cwd=top)
    assert "model/dvc.lock: train: dropped" in output
    assert "tokenize: dropped" not in output
