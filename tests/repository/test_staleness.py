import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from miniature import Miniature

from tunegate.errors import InputError
from tunegate.files import read_yaml, write_text, write_yaml
from tunegate.repository.outputs import open_outputs
from tunegate.repository.revisions import open_repository
from tunegate.repository.snapshot import Snapshot
from tunegate.repository.staleness import Cause, StaleStage, kind_of, plan_stages, stale_stages

NAMES = ["base", "prepare", "tokenize", "train", "evaluate", "package", "score"]
Opened = Callable[..., Snapshot]


@pytest.fixture
def at() -> Iterator[Opened]:
    """`at(root, revision)`: the project at a revision, or its working tree."""
    import contextlib

    with contextlib.ExitStack() as stack:

        def opened(root: Path, revision: str | None = None) -> Snapshot:
            repository = open_repository(root)
            commit = repository.resolve(revision) if revision else None
            return Snapshot(repository, commit, stack.enter_context(open_outputs(root)))

        yield opened


def statuses(stages: list[StaleStage]) -> dict[str, str]:
    return {stage.name: stage.status for stage in stages}


def repro(made: Miniature) -> dict[str, str]:
    """What `dvc repro` says that becomes of the stages that changed."""
    said = made.run("dvc", "repro", cwd=made.root)
    words = {"Running stage": "runs", "Stage": "restored"}
    found = re.findall(r"^(Running stage|Stage) '(\w+)'(?::$| is cached)", said, re.MULTILINE)
    return {name: words[word] for word, name in found}


def edit(made: Miniature, path: str, text: str) -> None:
    write_text(made.root / path, text)


def test_after_a_repro_nothing_would_run_in_the_tree_and_at_its_commit(miniature: Miniature, at: Opened) -> None:
    for revision in (None, "HEAD"):
        plan = plan_stages(at(miniature.root, revision))
        assert sorted(stage.name for stage in plan) == sorted(NAMES)
        assert set(statuses(plan).values()) == {"skipped"}
    names = [stage.name for stage in plan]
    assert names.index("prepare") < names.index("tokenize") < names.index("train") < names.index("evaluate")


def test_a_changed_parameter_names_old_and_new_value_and_what_comes_after(miniature: Miniature, at: Opened) -> None:
    miniature.change(train__learning_rate=0.001, train__device="cuda")
    # Only the parameters: what `train` copies stays as it was.
    miniature.git("checkout", "inputs")
    train, *rest = stale_stages(at(miniature.root))
    assert train == StaleStage(
        "train",
        "runs",
        [
            Cause("device", "train.device", 'train.device: "cpu" → "cuda"', "cpu", "cuda"),
            Cause("params", "train.learning_rate", "train.learning_rate: 0.002 → 0.001", 0.002, 0.001),
        ],
    )
    assert {stage.name: (stage.status, stage.after) for stage in rest} == {
        "evaluate": ("may run", ["train"]),
        "package": ("may run", ["train"]),
        "score": ("may run", ["evaluate"]),
    }


def test_the_tree_is_compared_with_the_lock_of_a_base(miniature: Miniature, at: Opened) -> None:
    miniature.change(evaluate__batch_size=4)
    miniature.commit("Another batch size")
    assert stale_stages(at(miniature.root)) == []
    base = at(miniature.root, "HEAD~1")
    shutil.rmtree(miniature.root / ".dvc/cache/runs")
    for revision in (None, "HEAD"):
        (evaluate, score) = stale_stages(at(miniature.root, revision), base.lock)
        assert [cause.text for cause in evaluate.causes] == ["evaluate.batch_size: 16 → 4"]
        assert (evaluate.status, score.status) == ("runs", "may run")


def test_a_run_that_happened_before_is_restored_and_what_follows_is_known(miniature: Miniature, at: Opened) -> None:
    miniature.change(train__learning_rate=0.001)
    miniature.commit("Another rate")
    miniature.change(train__learning_rate=0.002)
    found = statuses(stale_stages(at(miniature.root)))
    assert [found[name] for name in ("train", "evaluate", "package")] == ["restored"] * 3
    assert "may run" not in found.values()
    assert repro(miniature) == found


def test_a_run_whose_outputs_are_gone_is_not_restored(miniature: Miniature, at: Opened) -> None:
    miniature.change(train__learning_rate=0.001)
    miniature.commit("Another rate")
    old = at(miniature.root, "HEAD~1").lock["train"].outs["models/adapter"]
    (miniature.root / ".dvc/cache/files/md5" / old.md5[:2] / old.md5[2:]).unlink()
    miniature.change(train__learning_rate=0.002)
    found = statuses(stale_stages(at(miniature.root)))
    assert [found[name] for name in ("train", "evaluate", "package")] == ["runs", "may run", "may run"]


@pytest.mark.parametrize(
    ("dependency", "kind"),
    [
        ("data/sources.yaml", "data"),
        ("src/tool.py", "code"),
        ("requirements/pipeline.txt", "environment"),
        ("models/catalog.yaml", "file"),
    ],
)
def test_a_changed_file_is_of_the_kind_of_its_folder(
    miniature: Miniature, at: Opened, dependency: str, kind: str
) -> None:
    edit(miniature, dependency, "before\n")
    pipeline = read_yaml(miniature.root / "dvc.yaml")
    pipeline["stages"]["package"]["deps"].append(dependency)
    write_yaml(miniature.root / "dvc.yaml", pipeline)
    (package,) = stale_stages(at(miniature.root))
    assert [(cause.kind, cause.text) for cause in package.causes] == [(kind, f"{dependency}: a new dependency")]
    miniature.commit("A dependency more")
    edit(miniature, dependency, "after\n")
    (package,) = stale_stages(at(miniature.root))
    assert [(cause.kind, cause.text) for cause in package.causes] == [(kind, f"{dependency} changed")]
    assert stale_stages(at(miniature.root, "HEAD")) == []
    (miniature.root / dependency).unlink()
    (package,) = stale_stages(at(miniature.root))
    assert [cause.text for cause in package.causes] == [f"{dependency}: missing"]


def test_a_dependency_that_the_lock_lacks_is_hashed_as_the_run_that_had_it(miniature: Miniature, at: Opened) -> None:
    # DVC's older hash, which it uses until a file is locked, does not see how lines end.
    (miniature.root / "data/table.csv").write_bytes(b"id\r\n1\r\n")
    pipeline = read_yaml(miniature.root / "dvc.yaml")
    pipeline["stages"]["package"]["deps"].append("data/table.csv")
    write_yaml(miniature.root / "dvc.yaml", pipeline)
    miniature.run("dvc", "repro", "-q", cwd=miniature.root)
    miniature.git("checkout", "dvc.lock")
    assert statuses(stale_stages(at(miniature.root))) == {"package": "restored"}


def test_files_that_dvcignore_names_change_nothing(miniature: Miniature, at: Opened) -> None:
    edit(miniature, "inputs/base/__pycache__/x.pyc", "bytes")
    assert stale_stages(at(miniature.root)) == []
    edit(miniature, "inputs/base/more.json", "{}")
    assert stale_stages(at(miniature.root))[0].causes[0].text == "inputs/base changed"


def test_another_command_another_output_and_a_new_stage_are_causes(miniature: Miniature, at: Opened) -> None:
    pipeline = read_yaml(miniature.root / "dvc.yaml")
    pipeline["stages"]["package"]["cmd"] += " && true"
    pipeline["stages"]["package"]["outs"].append("models/card.md")
    pipeline["stages"]["extra"] = {"cmd": "echo > extra", "deps": ["models/package"], "outs": ["extra"]}
    write_yaml(miniature.root / "dvc.yaml", pipeline)
    package, extra = stale_stages(at(miniature.root))
    assert [cause.text for cause in package.causes] == ["another command", "models/card.md: a new output"]
    assert [(cause.kind, cause.text) for cause in extra.causes] == [
        ("new stage", "new: never run"),
        ("upstream", "after package"),
    ]
    assert extra.status == "runs"


def test_a_fresh_clone_without_outputs_plans_the_same(miniature: Miniature, at: Opened, tmp_path: Path) -> None:
    miniature.run("dvc", "remote", "add", "-d", "shelf", str(tmp_path / "shelf"), cwd=miniature.root)
    miniature.commit("A remote", repro=False)
    miniature.git("clone", "-q", str(miniature.root), str(tmp_path / "clone"))
    assert stale_stages(at(tmp_path / "clone")) == []
    params = read_yaml(tmp_path / "clone/params.yaml")
    params["package"]["tolerance"] = 0.5
    write_yaml(tmp_path / "clone/params.yaml", params)
    assert statuses(stale_stages(at(tmp_path / "clone"))) == {"package": "runs"}
    assert not (tmp_path / "clone/models/base").exists()


def test_an_output_that_nobody_has_is_a_cause(miniature: Miniature, at: Opened) -> None:
    shutil.rmtree(miniature.root / "models/package")
    assert stale_stages(at(miniature.root)) == []
    shutil.rmtree(miniature.root / ".dvc/cache/files")
    (package,) = stale_stages(at(miniature.root))
    text = "models/package: neither here nor in DVC's cache, and there is no remote"
    assert (package.status, [cause.text for cause in package.causes]) == ("runs", [text])


def test_an_edited_result_is_made_again_where_the_cache_has_none(miniature: Miniature, at: Opened) -> None:
    edit(miniature, "reports/metrics.json", "{}\n")
    (score,) = stale_stages(at(miniature.root))
    assert (score.status, score.causes[0].text) == ("runs", "reports/metrics.json: edited since it was made")
    assert repro(miniature) == {"score": "runs"}


def test_a_lock_merged_from_two_runs_is_not_up_to_date(miniature: Miniature, at: Opened) -> None:
    lock = read_yaml(miniature.root / "dvc.lock")
    for dep in lock["stages"]["package"]["deps"]:
        if dep["path"] == "models/adapter":
            dep["md5"] = "0" * 32 + ".dir"
    write_yaml(miniature.root / "dvc.lock", lock)
    (package,) = stale_stages(at(miniature.root))
    assert package.causes[0].text == "models/adapter: not the one it was run with"


def test_a_project_below_the_top_of_its_repository_is_planned_too(
    miniature: Miniature, at: Opened, tmp_path: Path
) -> None:
    (tmp_path / "big").mkdir()
    inner = shutil.move(miniature.root, tmp_path / "big/model")
    shutil.rmtree(Path(inner) / ".git")
    for words in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-qm", "All")):
        miniature.run("git", *words, cwd=tmp_path / "big")
    assert stale_stages(at(Path(inner))) == []
    assert stale_stages(at(Path(inner), "HEAD")) == []


def test_a_dvc_yaml_that_dvc_refuses_is_an_error_with_its_words(miniature: Miniature, at: Opened) -> None:
    edit(miniature, "dvc.yaml", "stages:\n  train: {cmd: x, outss: [y]}\n")
    with pytest.raises(InputError, match="outss"):
        plan_stages(at(miniature.root))


def test_a_path_is_of_the_kind_of_its_first_folder() -> None:
    assert [kind_of(path) for path in ("data", "src/a", "requirements/b", "database/c")] == [
        "data", "code", "environment", "file",
    ]  # fmt: skip
