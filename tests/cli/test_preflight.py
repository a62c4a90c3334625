import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def staged_project(staged_project: Path, tiny_model: Path) -> Path:
    """The project, with the base model in its place."""
    shutil.copytree(tiny_model, staged_project / "models/base")
    return staged_project


def test_the_preflight_of_a_project_that_is_ready(staged_project: Path, run: Callable[..., str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in staged_project.rglob("*")}
    said = run("tunegate", "preflight", "--html", "page.html", cwd=staged_project)
    for word in ("trained tokens", "stop token", "batching", "one batch", "peak memory on this machine"):
        assert word in said
    assert "\x1b" not in said, "colours where nobody sees them"
    page = (staged_project / "page.html").read_text()
    assert "<h1>Ready to train</h1>" in page
    assert "<mark>" in page
    new = {path for path in staged_project.rglob("*") if path.stat().st_mtime_ns != before.get(path)}
    assert new <= {staged_project, staged_project / "page.html"}


def test_a_machine_reads_the_same(staged_project: Path, run: Callable[..., str]) -> None:
    found = json.loads(run("tunegate", "preflight", "--json", cwd=staged_project))
    assert "refused" not in {finding["status"] for finding in found["findings"]}
    assert found["forecast"]["steps"] > 0
    assert any(piece["trained"] for piece in found["preview"][0]["pieces"])


def test_training_is_refused_with_reasons(staged_project: Path, run: Callable[..., str]) -> None:
    text = (staged_project / "params.yaml").read_text()
    assert "learning_rate: 0.002" in text
    (staged_project / "params.yaml").write_text(text.replace("learning_rate: 0.002", "learning_rate: 0.000000000001"))
    said = run("tunegate", "preflight", cwd=staged_project, code=3)
    assert "error: preflight: one batch: " in said
    assert "train.learning_rate (1e-12) is too low" in said


def test_what_has_not_run_is_named(tmp_path: Path, staged_project: Path, run: Callable[..., str]) -> None:
    said = run("tunegate", "preflight", "--tokens", "nowhere", cwd=staged_project, code=1)
    assert said.startswith("error: nowhere: not there yet\nfix: run `dvc repro tokenize` first")


@pytest.mark.parametrize("word", ["Example: dvc repro tokenize && tunegate preflight", "--html"])
def test_the_help_has_an_example(word: str, tmp_path: Path, run: Callable[..., str]) -> None:
    assert word in run("tunegate", "preflight", "--help", cwd=tmp_path)
