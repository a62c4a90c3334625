import contextlib
import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from miniature import Miniature, answers, predictions

from tunegate.errors import InputError, MachineError
from tunegate.files import read_json, read_text, read_yaml, write_json, write_text, write_yaml
from tunegate.repository.lock import dump_lock, parse_lock
from tunegate.repository.outputs import open_outputs
from tunegate.repository.proof import StageProof, prove
from tunegate.repository.revisions import open_repository
from tunegate.repository.snapshot import Snapshot
from tunegate.repository.staleness import stale_stages


@contextlib.contextmanager
def snapshot_of(root: Path, commit: str | None = None) -> Iterator[Snapshot]:
    with open_outputs(root) as outputs:
        yield Snapshot(open_repository(root), commit, outputs)


def proofs_of(root: Path, commit: str | None = None, *, quick: bool = True) -> dict[str, StageProof]:
    with snapshot_of(root, commit) as snapshot:
        return {proof.stage: proof for proof in prove(snapshot, quick=quick)}


def unproven(proofs: dict[str, StageProof]) -> dict[str, str]:
    return {name: proof.state for name, proof in proofs.items() if not proof.proven}


def edit_stage(miniature: Miniature, name: str, **changes: object) -> None:
    stages = read_yaml(miniature.root / "dvc.yaml")
    stages["stages"][name] |= changes
    write_yaml(miniature.root / "dvc.yaml", stages)


def edit_lock(miniature: Miniature, old: str, new: str) -> None:
    lock = miniature.root / "dvc.lock"
    assert old in read_text(lock)
    write_text(lock, read_text(lock).replace(old, new))


def test_every_stage_of_a_commit_is_proven_by_the_run_cache_or_by_running_it_again(miniature: Miniature) -> None:
    before = miniature.git("status", "--porcelain")
    by_stage = proofs_of(miniature.root, "HEAD", quick=False)
    assert {name: proof.how for name, proof in by_stage.items()} == {
        **dict.fromkeys(read_yaml(miniature.root / "dvc.yaml")["stages"], "run cache here"),
        "score": "run again here",
    }
    assert list(by_stage) == list(read_yaml(miniature.root / "dvc.yaml")["stages"])
    assert miniature.git("status", "--porcelain") == before


def test_a_changed_parameter_command_or_file_makes_the_entry_stale_with_both_values(miniature: Miniature) -> None:
    values = read_yaml(miniature.root / "params.yaml")
    values["train"]["learning_rate"] = 0.5
    write_yaml(miniature.root / "params.yaml", values)
    edit_stage(miniature, "package", cmd="mkdir -p models/package")
    write_text(miniature.root / "inputs/tokens/more.txt", "one more file\n")
    miniature.git("add", "inputs")
    by_stage = proofs_of(miniature.root)
    assert unproven(by_stage) == {"tokenize": "stale", "train": "stale", "package": "stale"}
    assert by_stage["train"].problems == ("params.yaml:train.learning_rate: ran with 0.002, here 0.5",)
    assert 'here "mkdir -p models/package"' in by_stage["package"].problems[0]
    assert "inputs/tokens: ran on" in by_stage["tokenize"].problems[0]


def test_files_that_git_does_not_know_are_no_part_of_a_proof(miniature: Miniature) -> None:
    write_text(miniature.root / "inputs/tokens/more.txt", "git does not know this\n")
    assert not unproven(proofs_of(miniature.root))


def test_a_dependency_taken_out_of_dvc_yaml_makes_the_entry_stale_though_dvc_sees_nothing(miniature: Miniature) -> None:
    deps = read_yaml(miniature.root / "dvc.yaml")["stages"]["train"]["deps"]
    edit_stage(miniature, "train", deps=[path for path in deps if path != "data/tokens"])
    assert miniature.run("dvc", "status", "train", cwd=miniature.root).strip().endswith("up to date.")
    by_stage = proofs_of(miniature.root)["train"]
    assert (by_stage.state, by_stage.problems) == (
        "stale",
        ("data/tokens: is in the run's record, and not in dvc.yaml",),
    )


def test_the_lock_of_another_branch_is_stale_where_its_files_are_not(miniature: Miniature) -> None:
    miniature.git("checkout", "-qb", "other")
    miniature.change(train__learning_rate=0.5)
    miniature.commit("Another model")
    miniature.git("checkout", "-q", "main")
    miniature.git("checkout", "other", "--", "dvc.lock")
    by_stage = proofs_of(miniature.root, miniature.commit("Borrowed", repro=False))
    assert unproven(by_stage) == {"train": "stale", "score": "different"}
    assert any("learning_rate: ran with 0.5, here 0.002" in problem for problem in by_stage["train"].problems)


def test_a_stage_without_entry_is_missing_and_an_entry_without_stage_is_named(miniature: Miniature) -> None:
    lock = parse_lock(read_text(miniature.root / "dvc.lock"), place="")
    write_text(miniature.root / "dvc.lock", dump_lock({n: e for n, e in lock.items() if n != "package"}))
    stages = read_yaml(miniature.root / "dvc.yaml")
    del stages["stages"]["evaluate"]
    write_yaml(miniature.root / "dvc.yaml", stages)
    by_stage = proofs_of(miniature.root)
    assert by_stage["package"].state == "missing"
    assert by_stage["evaluate"].problems == ("is not a stage of dvc.yaml",)
    # What `score` reads is made by no stage now, and is not in git.
    assert by_stage["score"].state == "stale"


def test_forged_predictions_are_a_run_that_nobody_remembers(miniature: Miniature) -> None:
    with snapshot_of(miniature.root) as snapshot:
        honest = snapshot.locked("models/predictions.parquet")
    assert honest
    forged = predictions(answers(200, 0.99))
    miniature.predict(forged)
    file = miniature.root / "inputs/adapter/predictions.parquet"
    md5 = miniature.run("md5sum", str(file), cwd=miniature.root).split()[0]
    cached = miniature.root / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    cached.parent.mkdir(exist_ok=True)
    shutil.copy(file, cached)
    miniature.git("checkout", "--", "inputs")
    edit_lock(miniature, honest.md5, md5)
    assert unproven(proofs_of(miniature.root)) == {"evaluate": "unproven"}


def test_metrics_edited_by_hand_are_not_what_came_out(miniature: Miniature) -> None:
    metrics = read_json(miniature.root / "reports/metrics.json")
    write_json(miniature.root / "reports/metrics.json", metrics | {"edited": 1})
    by_stage = proofs_of(miniature.root)
    assert unproven(by_stage) == {"score": "different"}
    assert by_stage["score"].problems[0].startswith("reports/metrics.json: ")
    assert "came out" in by_stage["score"].problems[0]


def test_metrics_and_lock_edited_together_are_caught_by_running_the_stage_again(miniature: Miniature) -> None:
    file = miniature.root / "reports/metrics.json"
    old = miniature.run("md5sum", str(file), cwd=miniature.root).split()[0]
    write_json(file, read_json(file) | {"edited": 1})
    edit_lock(miniature, old, miniature.run("md5sum", str(file), cwd=miniature.root).split()[0])
    assert not unproven(proofs_of(miniature.root))
    by_stage = proofs_of(miniature.root, quick=False)["score"]
    assert (by_stage.state, "came out when run again" in by_stage.problems[0]) == ("different", True)


def test_without_the_run_cache_nothing_is_proven_here_and_the_remote_proves_it(
    miniature: Miniature, tmp_path: Path
) -> None:
    miniature.run("dvc", "remote", "add", "-d", "store", str(tmp_path / "remote"), cwd=miniature.root)
    miniature.run("dvc", "push", "-q", "--run-cache", cwd=miniature.root)
    miniature.commit("A remote", repro=False)
    shutil.rmtree(miniature.root / ".dvc/cache")
    by_stage = proofs_of(miniature.root, "HEAD", quick=False)
    assert {name: proof.how for name, proof in by_stage.items() if name != "score"} == dict.fromkeys(
        set(by_stage) - {"score"}, "run cache on the remote"
    )
    assert by_stage["score"].how == "run again here"
    shutil.rmtree(tmp_path / "remote/runs")
    by_stage = proofs_of(miniature.root, "HEAD")
    assert unproven(by_stage) == dict.fromkeys(set(by_stage) - {"score"}, "unproven")
    assert by_stage["train"].problems == ("no such run in the run cache here, nor on the DVC remote",)


def test_an_http_remote_is_said_to_keep_no_runs(miniature: Miniature) -> None:
    shutil.rmtree(miniature.root / ".dvc/cache/runs")
    miniature.run("dvc", "remote", "add", "-d", "store", "http://127.0.0.1:9/", cwd=miniature.root)
    assert "a remote over HTTP keeps no runs" in proofs_of(miniature.root)["train"].problems[0]


def test_a_damaged_run_cache_is_an_error_that_names_the_file(miniature: Miniature) -> None:
    for file in (path for path in (miniature.root / ".dvc/cache/runs").rglob("*") if path.is_file()):
        write_text(file, read_text(file)[:-30])
    with pytest.raises(InputError, match=r"damaged run cache.*\nfix: delete this file"):
        proofs_of(miniature.root)


def test_a_silent_remote_is_a_clear_end(miniature: Miniature, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tunegate.repository.remote.PAUSE_SECONDS", 0.0)
    shutil.rmtree(miniature.root / ".dvc/cache/runs")
    write_text(tmp_path / "remote/runs", "a file where a folder should be\n")
    miniature.run("dvc", "remote", "add", "-d", "store", str(tmp_path / "remote"), cwd=miniature.root)
    with pytest.raises(MachineError, match="does not answer, 3 times"):
        proofs_of(miniature.root)


def test_variables_foreach_and_parts_of_outputs_mean_what_they_mean_to_dvc(miniature: Miniature) -> None:
    stages = read_yaml(miniature.root / "dvc.yaml")
    stages["vars"] = [{"where": "parts"}]
    stages["stages"]["split"] = {
        "foreach": ["config", "other"],
        "do": {
            "cmd": "mkdir -p ${where} && cp data/prepared/test.parquet ${where}/${item}",
            "deps": ["data/prepared/test.parquet", "data/prepared"],
            "outs": ["${where}/${item}"],
        },
    }
    write_yaml(miniature.root / "dvc.yaml", stages)
    write_text(miniature.root / "notes.txt", "added\n")
    miniature.run("dvc", "add", "-q", "notes.txt", cwd=miniature.root)
    edit_stage(miniature, "package", deps=["models/adapter", "inputs/package", "notes.txt"])
    commit = miniature.commit("Parts")
    by_stage = proofs_of(miniature.root, commit)
    assert {"split@config", "split@other"} < set(by_stage)
    assert not unproven(by_stage)


def test_a_commit_without_a_pipeline_is_an_error_and_not_a_proof(miniature: Miniature) -> None:
    miniature.git("rm", "-q", "dvc.yaml")
    with pytest.raises(InputError, match=r"dvc\.yaml: no such file"):
        proofs_of(miniature.root, miniature.commit("Gone", repro=False))


def test_a_project_below_the_repositorys_top_and_in_a_worktree_is_proven(miniature: Miniature, tmp_path: Path) -> None:
    top = tmp_path / "top"
    shutil.copytree(miniature.root, top / "model", symlinks=True, ignore=shutil.ignore_patterns(".git"))
    miniature.run("git", "init", "-q", cwd=top)
    miniature.run("git", "add", "-A", cwd=top)
    miniature.run("git", "commit", "-qm", "All", cwd=top)
    miniature.run("git", "worktree", "add", "-q", str(tmp_path / "tree"), cwd=top)
    assert not unproven(proofs_of(top / "model", "HEAD", quick=False))
    shutil.copytree(top / "model/.dvc/cache", tmp_path / "tree/model/.dvc/cache")
    assert not unproven(proofs_of(tmp_path / "tree/model"))


def invented(miniature: Miniature, name: str, path: str) -> None:
    """Give the stage an entry that fits its definition, with a made-up content of its output `path`."""
    miniature.run("dvc", "commit", "-f", "-q", name, cwd=miniature.root)
    lock = parse_lock(read_text(miniature.root / "dvc.lock"), place="")
    md5 = hashlib.md5(b"made up", usedforsecurity=False).hexdigest()
    write_text(miniature.root / ".dvc/cache/files/md5" / md5[:2] / md5[2:], "made up")
    edit_lock(miniature, lock[name].outs[path].md5, md5)


@pytest.mark.parametrize("quick", [True, False])
@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"always_changed": True}, "dvc.yaml says always_changed"),
        ({"frozen": True}, "dvc.yaml says frozen"),
        ({"outs": [{"models/predictions.parquet": {"persist": True}}, "models/evaluate_cost.json"]}, "persists"),
        ({"deps": [], "params": []}, "it depends on nothing"),
    ],
)
def test_a_definition_that_switches_off_the_proof_is_no_proof(
    miniature: Miniature, changes: dict[str, object], problem: str, quick: bool
) -> None:
    edit_stage(miniature, "evaluate", **changes)
    invented(miniature, "evaluate", "models/predictions.parquet")
    by_stage = proofs_of(miniature.root, quick=quick)["evaluate"]
    assert (by_stage.state, problem in by_stage.problems[0]) == ("unproven", True)


def test_what_the_answers_depend_on_is_run_again_or_not_proven(miniature: Miniature) -> None:
    edit_stage(miniature, "prepare", outs=[{"data/prepared": {"cache": False}}])
    write_text(miniature.root / ".gitignore", read_text(miniature.root / ".gitignore") + "\n!data/prepared\n")
    miniature.run("dvc", "repro", "-q", cwd=miniature.root)
    miniature.git("add", "--force", "data/prepared")
    commit = miniature.commit("The split lies in git")
    by_stage = proofs_of(miniature.root, commit)
    assert unproven(by_stage) == {"prepare": "unproven"}
    assert "`tunegate verify` runs it again" in by_stage["prepare"].problems[0]
    assert by_stage["score"].how == "fits, not run again", "nothing that is judged depends on it"
    by_stage = proofs_of(miniature.root, commit, quick=False)
    assert (by_stage["prepare"].how, unproven(by_stage)) == ("run again here", {})
    write_text(miniature.root / "inputs/prepared/ledger.json", "{}")
    miniature.git("add", "inputs")
    assert proofs_of(miniature.root)["prepare"].state == "stale", "a run that waits is no forgery"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What DVC asks of a file system outside of git, and of the network, while a proof is made."""
    from dvc.fs import HTTPFileSystem, LocalFileSystem

    requests: list[str] = []
    for files in (LocalFileSystem, HTTPFileSystem):
        for verb in ("exists", "isdir", "info", "open"):
            honest = getattr(files, verb)

            def told(
                self: object, path: object, *rest: object, was: Any = honest, of: str = verb, **more: object
            ) -> Any:
                requests.append(f"{of} {path}")
                return was(self, path, *rest, **more)

            monkeypatch.setattr(files, verb, told)
    return requests


def test_what_a_change_names_outside_of_the_repository_is_neither_opened_nor_proven(
    miniature: Miniature, tmp_path: Path, opened: list[str]
) -> None:
    secret = tmp_path / "secret.yaml"
    write_text(secret, "password: s3cret\n")
    write_text(tmp_path / "secret.yaml.out", "s3cret")
    for name, address in (("train", str(secret)), ("package", "http://127.0.0.1:9/secret.yaml")):
        stage = read_yaml(miniature.root / "dvc.yaml")["stages"][name]
        added = {"deps": [*stage["deps"], address], "params": [*stage["params"], {address: ["password"]}]}
        edit_stage(miniature, name, **added, outs=[*stage["outs"], {f"{address}.out": {"cache": False}}])
        lock = parse_lock(read_text(miniature.root / "dvc.lock"), place="")
        raw = lock[name].raw
        raw["deps"] = sorted([*raw["deps"], {"path": address, "md5": "f" * 32}], key=lambda dep: str(dep["path"]))
        raw["params"] |= {address: {"password": "?"}}
        write_text(miniature.root / "dvc.lock", dump_lock(lock))
    by_stage = proofs_of(miniature.root)
    assert unproven(by_stage) == {"train": "unproven", "package": "unproven"}
    assert f"{secret}: lies outside the repository" in by_stage["train"].problems
    assert "http://127.0.0.1:9/secret.yaml: lies outside the repository" in by_stage["package"].problems
    # On loading, DVC looks whether .dvcignore means an output by whether it is there, and does not open it.
    looked = {f"{verb} {secret}.out" for verb in ("exists", "isdir")}
    assert not [path for path in opened if "secret" in path and path not in looked]
    assert "s3cret" not in str(by_stage)


def test_a_link_in_git_to_a_file_outside_is_not_followed(miniature: Miniature, tmp_path: Path) -> None:
    write_text(tmp_path / "secret.txt", "s3cret")
    (miniature.root / "inputs/tokens/link.txt").symlink_to(tmp_path / "secret.txt")
    miniature.git("add", "inputs")
    before = proofs_of(miniature.root)["tokenize"]
    write_text(tmp_path / "secret.txt", "another")
    assert proofs_of(miniature.root)["tokenize"] == before


def test_two_stages_that_make_the_same_output_are_an_error(miniature: Miniature) -> None:
    edit_stage(miniature, "package", outs=["models/package", "models/predictions.parquet"])
    with pytest.raises(InputError, match=r"models/predictions\.parquet"):
        proofs_of(miniature.root)


def test_a_file_that_dvc_added_in_a_folder_that_a_stage_reads_is_proven_by_what_its_dvc_file_names(
    miniature: Miniature,
) -> None:
    added = miniature.root / "inputs/prepared/tickets.bin"
    write_text(added, "a snapshot\n")
    miniature.run("dvc", "add", "-q", str(added), cwd=miniature.root)
    miniature.commit("A snapshot")
    added.unlink()
    assert unproven(proofs_of(miniature.root, "HEAD")) == {}
    with snapshot_of(miniature.root) as here:
        assert stale_stages(here) == []
    named = read_text(miniature.root / "inputs/prepared/tickets.bin.dvc")
    md5 = hashlib.md5(b"a snapshot\n", usedforsecurity=False).hexdigest()
    write_text(miniature.root / "inputs/prepared/tickets.bin.dvc", named.replace(md5, "f" * 32))
    miniature.commit("Another snapshot", repro=False)
    by_stage = proofs_of(miniature.root, "HEAD")["prepare"]
    assert (by_stage.state, "inputs/prepared: ran on" in by_stage.problems[0]) == ("stale", True)
