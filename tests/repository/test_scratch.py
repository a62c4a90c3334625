import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from miniature import Miniature

from tunegate.errors import InputError, MachineError, Stopped
from tunegate.files import read_text, read_yaml, write_text, write_yaml
from tunegate.repository.revisions import open_repository
from tunegate.repository.scratch import run_stages, scratch


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def test_a_commit_on_no_branch_is_checked_out_beside_a_working_tree_left_alone(
    miniature: Miniature, temporary: Path
) -> None:
    miniature.git("branch", "other")
    miniature.change(train__rank=4)
    miniature.commit("Ours")
    miniature.git("checkout", "-q", "other")
    write_text(miniature.root / "note.txt", "theirs\n")
    miniature.commit("Theirs", repro=False)
    repository = open_repository(miniature.root)
    before = miniature.git("status", "--porcelain", "--branch")
    with scratch(repository, repository.merge_commit("other", "main")) as folder:
        assert folder.is_relative_to(temporary)
        assert read_text(folder / "note.txt") == "theirs\n"
        assert read_yaml(folder / "params.yaml")["train"]["rank"] == 4
    assert not list(temporary.iterdir())
    assert miniature.git("status", "--porcelain", "--branch") == before


def test_the_working_tree_is_its_tracked_files_as_they_are(miniature: Miniature) -> None:
    write_text(miniature.root / "params.yaml", read_text(miniature.root / "params.yaml") + "# changed\n")
    write_text(miniature.root / "staged.txt", "staged\n")
    write_text(miniature.root / "unknown.txt", "unknown to git\n")
    (miniature.root / "bentofile.yaml").unlink()
    miniature.git("add", "staged.txt")
    before = miniature.git("status", "--porcelain")
    with scratch(open_repository(miniature.root), None) as folder:
        assert read_text(folder / "params.yaml").endswith("# changed\n")
        assert (folder / "staged.txt").is_file()
        assert not (folder / "unknown.txt").exists()
        assert not (folder / "bentofile.yaml").exists()
    assert miniature.git("status", "--porcelain") == before


def test_stages_are_restored_from_the_shared_cache_and_new_runs_enter_it(miniature: Miniature) -> None:
    repository = open_repository(miniature.root)
    with scratch(repository, "HEAD") as folder:
        run_stages(folder, ["train"])
        assert read_text(folder / "dvc.lock") == read_text(miniature.root / "dvc.lock")
        write_text(folder / "inputs/adapter/training.json", '{"steps": 11}\n')
        run_stages(folder, ["train"])
    miniature.run("dvc", "repro", "-q", cwd=miniature.root)
    write_text(miniature.root / "inputs/adapter/training.json", '{"steps": 11}\n')
    assert "is cached - skipping run" in miniature.run("dvc", "repro", "train", cwd=miniature.root)


def test_relative_remotes_and_their_local_settings_mean_the_same_place(miniature: Miniature, tmp_path: Path) -> None:
    remote = tmp_path / "remote"
    miniature.run("dvc", "remote", "add", "-d", "store", "../remote", cwd=miniature.root)
    miniature.run("dvc", "remote", "modify", "--local", "store", "verify", "true", cwd=miniature.root)
    miniature.run("dvc", "push", "-q", cwd=miniature.root)
    shutil.rmtree(miniature.root / ".dvc/cache/files")
    with scratch(open_repository(miniature.root), "HEAD") as folder:
        assert read_text(folder / ".dvc/config") != read_text(miniature.root / ".dvc/config")
        miniature.run("dvc", "config", "--local", "core.remote", "store", cwd=folder)
        miniature.run("dvc", "pull", "-q", "models/predictions.parquet", cwd=folder)
        assert str(remote) in read_text(folder / ".dvc/config.local")
        assert "verify = true" in read_text(folder / ".dvc/config.local")


def test_the_checkout_is_gone_after_a_signal_and_after_an_error(miniature: Miniature, temporary: Path) -> None:
    repository = open_repository(miniature.root)
    with pytest.raises(InputError, match="no such revision"), scratch(repository, "0" * 40):
        pass
    for error in (Stopped(15), InputError("no")):
        with pytest.raises(type(error)), scratch(repository, "HEAD"):
            raise error
    state = miniature.git("rev-parse", "HEAD:params.yaml")
    lost = miniature.root / ".git/objects" / state[:2] / state[2:]
    lost.unlink()
    with pytest.raises(MachineError, match=r"params\.yaml: git cannot read it"), scratch(repository, "HEAD"):
        pass
    assert not list(temporary.iterdir())


def test_a_project_below_the_repositorys_top_is_found_in_the_checkout(miniature: Miniature, tmp_path: Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    shutil.copytree(miniature.root, top / "model", symlinks=True, ignore=shutil.ignore_patterns(".git"))
    miniature.run("git", "init", "-q", cwd=top)
    miniature.run("git", "add", "-A", cwd=top)
    miniature.run("git", "commit", "-qm", "All", cwd=top)
    with scratch(open_repository(top / "model"), None) as folder:
        assert folder.name == "model"
        run_stages(folder, ["package"])
        assert (folder / "models/package/model.gguf").is_file()


def test_a_shallow_clone_has_scratch_checkouts_too(miniature: Miniature, tmp_path: Path) -> None:
    miniature.change(train__rank=4)
    miniature.commit("Second")
    clone = tmp_path / "clone"
    miniature.run("git", "clone", "-q", "--depth", "1", f"file://{miniature.root}", str(clone), cwd=tmp_path)
    with scratch(open_repository(clone), "HEAD") as folder:
        assert read_yaml(folder / "params.yaml")["train"]["rank"] == 4


def test_a_stage_that_fails_ends_with_its_own_words(miniature: Miniature) -> None:
    stages = read_yaml(miniature.root / "dvc.yaml")
    stages["stages"]["train"]["cmd"] = "echo 'error: params.yaml: rank: too large' >&2; echo 'fix: take 8' >&2; exit 1"
    stages["stages"]["package"]["cmd"] = "echo out of luck; exit 5"
    write_yaml(miniature.root / "dvc.yaml", stages)
    with scratch(open_repository(miniature.root), None) as folder:
        with pytest.raises(InputError, match="rank: too large\nfix: take 8"):
            run_stages(folder, ["train"])
        with pytest.raises(MachineError, match="failed to reproduce 'package'"):
            run_stages(folder, ["--single-item", "package"])


def test_stages_in_a_scratch_checkout_see_their_own_code_and_no_mlflow_server(
    miniature: Miniature, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_text(miniature.root / "src/wisdom.py", "print('of the commit')\n")
    stages = read_yaml(miniature.root / "dvc.yaml")
    stages["stages"]["package"]["cmd"] = (
        "python -m wisdom > models/package && echo uri=$MLFLOW_TRACKING_URI seed=$SEED >> models/package"
    )
    write_yaml(miniature.root / "dvc.yaml", stages)
    miniature.git("add", "src")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://example.org")
    monkeypatch.setenv("GIT_DIR", str(miniature.root / ".git"))
    with scratch(open_repository(miniature.root), None) as folder:
        run_stages(folder, ["package"], {"SEED": "7"})
        assert read_text(folder / "models/package") == "of the commit\nuri= seed=7\n"


def test_a_stopped_run_takes_its_stages_with_it(miniature: Miniature, tmp_path: Path) -> None:
    stages = read_yaml(miniature.root / "dvc.yaml")
    stages["stages"]["package"]["cmd"] = f"touch {tmp_path}/started; sleep 30 && touch {tmp_path}/finished"
    write_yaml(miniature.root / "dvc.yaml", stages)
    code = (
        "import sys; from pathlib import Path; from tunegate.errors import exit_code_of\n"
        "from tunegate.repository.revisions import open_repository\n"
        "from tunegate.repository.scratch import run_stages, scratch\n"
        "def main():\n"
        "    with scratch(open_repository(Path(sys.argv[1])), None) as folder:\n"
        "        run_stages(folder, ['package'])\n"
        "sys.exit(exit_code_of(main))\n"
    )
    environment = {"TMPDIR": str(tmp_path / "temporary"), "PATH": "/usr/bin:/bin"}
    process = subprocess.Popen([sys.executable, "-c", code, str(miniature.root)], env=environment)
    deadline = time.monotonic() + 60
    while not (tmp_path / "started").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    process.terminate()
    assert process.wait(30) == 143
    assert not list((tmp_path / "temporary").iterdir())
    sleeping = subprocess.run(["pgrep", "-f", str(tmp_path / "finished")], capture_output=True, check=False)
    assert sleeping.returncode == 1
