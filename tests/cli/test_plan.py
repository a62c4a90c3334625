import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from miniature import Miniature

from tunegate.cli.plan import duration
from tunegate.files import read_yaml, write_yaml


def plan(folder: Path, *arguments: str, code: int = 0) -> str:
    command = [sys.executable, "-m", "tunegate.cli", "plan", *arguments]
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def set_param(folder: Path, section: str, key: str, value: object) -> None:
    params = read_yaml(folder / "params.yaml")
    params[section][key] = value
    write_yaml(folder / "params.yaml", params)


def test_an_up_to_date_project_has_nothing_to_do(miniature: Miniature) -> None:
    assert plan(miniature.root) == "nothing to do: every stage is as dvc.lock says\n"


def test_a_changed_parameter_is_told_with_what_follows_and_what_it_costs(miniature: Miniature) -> None:
    set_param(miniature.root, "train", "learning_rate", 0.001)
    assert plan(miniature.root).splitlines() == [
        "compared with dvc.lock:",
        "",
        "stage     what happens  why",
        "base      skipped",
        "prepare   skipped",
        "tokenize  skipped",
        "train     runs          train.learning_rate: 0.002 → 0.001",
        "package   may run       after train",
        "evaluate  may run       after train",
        "score     may run       after evaluate",
        "",
        "forecast  work          time  memory  from",
        "train     5,120 tokens  10 s  2.0 GB  1 recorded run on a processor, 2 threads",
        "evaluate  200 rows      5 s   2.0 GB  1 recorded run on a processor, 2 threads",
        "",
        "train: reports/data.json does not count them: as many as in the newest run",
        "evaluate: reports/data.json does not count them: as many as in the newest run",
    ]


def test_a_branch_is_compared_with_the_lock_where_it_began(miniature: Miniature) -> None:
    miniature.git("checkout", "-q", "-b", "faster")
    miniature.change(train__epochs=2)
    miniature.commit("Fewer epochs")
    assert plan(miniature.root).startswith("nothing to do")
    said = json.loads(plan(miniature.root, "--base", "main", "--json"))
    fork = miniature.git("rev-parse", "main")
    assert said["against"] == fork
    stages = {stage["name"]: stage for stage in said["stages"]}
    assert stages["base"]["status"] == "skipped"
    assert stages["train"]["status"] == "restored", "this machine ran it"
    (epochs,) = [cause for cause in stages["train"]["causes"] if cause["kind"] == "params"]
    assert (epochs["what"], epochs["old"], epochs["new"]) == ("train.epochs", 4, 2)
    assert said["forecast"] == []


def test_a_project_in_which_nothing_ran_or_was_committed_is_planned(miniature: Miniature) -> None:
    (miniature.root / "dvc.lock").unlink()
    shutil.rmtree(miniature.root / ".dvc/cache")
    miniature.git("update-ref", "-d", "HEAD")
    said = plan(miniature.root)
    assert said.count("new: never run") == 7
    assert "not recorded on cpu" in said


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--base", "no-such-branch"], 1, "no-such-branch: no such revision"),
        (["--bass", "main"], 2, "--bass"),
    ],
)
def test_a_wrong_revision_and_a_wrong_option_end_with_their_codes(
    miniature: Miniature, arguments: list[str], code: int, words: str
) -> None:
    assert words in plan(miniature.root, *arguments, code=code)


def test_outside_of_a_project_the_place_is_named(tmp_path: Path) -> None:
    assert "not a git repository" in plan(tmp_path, code=1)
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    assert "error: dvc.yaml: no such file" in plan(tmp_path, code=1)


def test_a_duration_reads_as_people_say_it() -> None:
    assert [duration(seconds) for seconds in (0.2, 99, 100, 3600, 5999, 9000)] == [
        "1 s", "99 s", "2 min", "60 min", "100 min", "2.5 h",
    ]  # fmt: skip
