import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tunegate.files import read_json, read_yaml, write_yaml
from tunegate.models.manifest import verify
from tunegate.repository.lineage import read_lineage
from tunegate.tables import read_parquet

ALL = ["base", "ingest", "validate", "prepare", "tokenize", "train", "evaluate", "score", "package"]
Run = Callable[..., str]


def ran(said: str) -> list[str]:
    """The stages that `dvc repro` ran, in order."""
    return re.findall(r"Running stage '(\w+)'", said)


def change(project: Path, section: str, key: str, value: Any) -> None:
    params = read_yaml(project / "params.yaml")
    assert params[section][key] != value
    params[section][key] = value
    write_yaml(project / "params.yaml", params)


def test_the_first_run_runs_every_stage_in_order(finished: Path) -> None:
    assert ran((finished.parent / "first.log").read_text()) == ALL


def test_the_second_run_runs_nothing(finished: Path, run: Run) -> None:
    said = run("dvc", "repro", cwd=finished)
    assert ran(said) == []
    assert "up to date" in said


def test_the_tuned_model_beats_the_untuned_base(finished: Path) -> None:
    metrics = read_json(finished / "reports/metrics.json")
    assert metrics["tuned"]["accuracy"] > metrics["base"]["accuracy"]
    assert metrics["tuned"]["nll"] < metrics["base"]["nll"]


def test_one_lineage_key_runs_from_adapter_to_package(finished: Path) -> None:
    key = read_lineage(finished / "models/adapter").key
    assert read_json(finished / "reports/metrics.json")["lineage"] == key
    assert verify(finished / "models/package").lineage.key == key
    assert key in (finished / "models/package/README.md").read_text()


def test_every_row_is_accounted_for_from_source_to_tokens(finished: Path) -> None:
    stages = {stage["stage"]: stage for stage in read_json(finished / "reports/data.json")["stages"]}
    assert stages["ingest"]["rows"]["in"] == 60
    for stage in stages.values():
        assert stage["rows"]["in"] == stage["rows"]["out"] + sum(stage["reasons"].values())
    answered = read_parquet(finished / "models/predictions.parquet").num_rows
    assert (
        answered
        == read_parquet(finished / "data/prepared/test.parquet").num_rows
        == read_json(finished / "reports/metrics.json")["rows"]
    )


def test_git_tracks_only_small_results(finished: Path, run: Run) -> None:
    tracked = run("git", "ls-files", cwd=finished).split()
    assert "reports/metrics.json" in tracked
    assert "dvc.lock" in tracked
    outputs = (
        "models/adapter",
        "models/package",
        "models/base/",
        "data/ingested",
        "data/tokens",
        "reports/report.html",
    )
    assert not [name for name in tracked if name.startswith(outputs)]
    assert run("git", "status", "--porcelain", cwd=finished) == ""


@pytest.mark.parametrize(
    ("section", "key", "value", "expected"),
    [
        ("package", "export", "q8_0", ["package"]),
        ("score", "min_slice_rows", 2, ["score"]),
        ("evaluate", "max_new_tokens", 7, ["evaluate", "score"]),
    ],
)
def test_a_changed_param_runs_exactly_the_stages_that_need_it(
    project: Path, run: Run, section: str, key: str, value: Any, expected: list[str]
) -> None:
    change(project, section, key, value)
    stages = ran(run("dvc", "repro", cwd=project))
    # `package` follows only where a number in metrics.json changed.
    assert [stage for stage in stages if stage != "package" or expected == ["package"]] == expected


def test_a_changed_learning_rate_trains_again_on_the_same_tokens(project: Path, run: Run) -> None:
    before = read_lineage(project / "models/adapter")
    change(project, "train", "epochs", 1)
    assert ran(run("dvc", "repro", cwd=project)) == ["train", "evaluate", "score", "package"]
    after = read_lineage(project / "models/adapter")
    assert {part for part, value in after.parts if value != getattr(before.parts, part)} == {"params"}
    assert read_json(project / "models/package/manifest.json")["lineage"]["key"] == after.key


def test_a_model_comes_back_from_the_cache_byte_for_byte(project: Path, run: Run) -> None:
    before = (project / "models/adapter/adapter_model.safetensors").read_bytes()
    shutil.rmtree(project / "models/adapter")
    assert ran(run("dvc", "repro", cwd=project)) == []
    assert (project / "models/adapter/adapter_model.safetensors").read_bytes() == before


def test_training_again_from_nothing_gives_the_same_bytes(finished: Path, project: Path, run: Run) -> None:
    run("dvc", "repro", "--force", "--single-item", "--no-run-cache", "train", cwd=project)
    for name in ("adapter_model.safetensors", "adapter_config.json", "lineage.json", "training.json"):
        assert (project / "models/adapter" / name).read_bytes() == (finished / "models/adapter" / name).read_bytes()
    assert (project / "models/trajectory.csv").read_bytes() == (finished / "models/trajectory.csv").read_bytes()


def test_a_shallow_clone_runs(project: Path, run: Run, tmp_path: Path) -> None:
    run("git", "clone", "-q", "--depth", "1", project.as_uri(), "shallow", cwd=tmp_path)
    run("dvc", "cache", "dir", "--local", str(project / ".dvc/cache"), cwd=tmp_path / "shallow")
    run("dvc", "checkout", cwd=tmp_path / "shallow")
    assert ran(run("dvc", "repro", cwd=tmp_path / "shallow")) == []
    assert read_json(tmp_path / "shallow/models/package/manifest.json")["model"] == "tiny"


def test_without_git_the_remedy_is_named_and_stages_still_run(project: Path, run: Run) -> None:
    shutil.rmtree(project / ".git")
    assert "git" in run("dvc", "repro", cwd=project, code=255)
    run("dvc", "config", "core.no_scm", "true", cwd=project)
    change(project, "score", "min_slice_rows", 2)
    assert ran(run("dvc", "repro", "score", cwd=project)) == ["score"]
