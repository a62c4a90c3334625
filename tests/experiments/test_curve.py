"""The curve on a project whose model knows more the more rows it was trained on: real git and DVC, no torch."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tunegate.cli.init import project_files
from tunegate.errors import InputError, MachineError, UsageError
from tunegate.experiments.curve import Asked, curve_of, measure, require_sound
from tunegate.files import read_yaml, write_text, write_yaml
from tunegate.reporting.pages import render_curve
from tunegate.repository.revisions import open_repository

_TOKENIZE = """
import pyarrow as pa, pyarrow.parquet as pq
from pathlib import Path

for folder in ("data/prepared", "data/tokens"):
    Path(folder).mkdir(parents=True)
ids = [f"row-{number}" for number in range(160)]
pq.write_table(pa.table({"id": ids, "group": [f"pair-{n // 2}" for n in range(160)]}), "data/prepared/train.parquet")
pq.write_table(pa.table({"id": ids, "ids": [[1]] * 160}), "data/tokens/train.parquet")
"""
_TRAIN = """
import pyarrow.parquet as pq
from pathlib import Path

rows = pq.read_table("data/tokens/train.parquet").num_rows
assert "seed: 666" not in Path("params.yaml").read_text(), "error: train: this seed is unlucky"
Path("models").mkdir(exist_ok=True)
Path("models/adapter").write_text(str(rows))
"""
_EVALUATE = """
import pyarrow as pa, pyarrow.parquet as pq
from pathlib import Path

rows = int(Path("models/adapter").read_text())
right = [n >= 200 * (rows / 160) ** -0.5 * 0.3 for n in range(200)]
found = {"id": [f"t-{n:03}" for n in range(200)], "group": [f"g-{n // 2}" for n in range(200)]}
found |= {"tuned_correct": right, "tuned_nll": [0.1 if r else 2.0 for r in right]}
pq.write_table(pa.table(found), "models/predictions.parquet")
"""


@pytest.fixture
def project(tmp_path: Path, run: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    write_text(folder / "params.yaml", project_files("curve")["params.yaml"])
    for name, text in (("tokenize", _TOKENIZE), ("train", _TRAIN), ("evaluate", _EVALUATE)):
        write_text(folder / f"do_{name}.py", text)
    outs = {"tokenize": ["data/prepared", "data/tokens"], "train": ["models/adapter"]}
    outs["evaluate"] = ["models/predictions.parquet"]
    deps = {"tokenize": ["do_tokenize.py"], "train": ["data/tokens"], "evaluate": ["models/adapter"]}
    stages = {name: {"cmd": f"python do_{name}.py", "deps": deps[name], "outs": outs[name]} for name in outs}
    write_yaml(folder / "dvc.yaml", {"stages": stages})
    write_text(folder / ".gitignore", ".tunegate/\n")
    run("git", "init", "-q", "-b", "main", cwd=folder)
    run("dvc", "init", "-q", cwd=folder)
    run("git", "add", "-A", cwd=folder)
    run("git", "commit", "-qm", "A curve", cwd=folder)
    monkeypatch.chdir(folder)
    return folder


def test_more_rows_help_and_the_page_says_so(project: Path, run: Callable[..., str]) -> None:
    asked = Asked((0.25, 0.5, 1.0), seeds=2, metric="nll")
    points = list(measure(open_repository(), asked))
    assert [point.rows for point in points[:3]] == [40, 80, 160]
    assert {point.seed for point in points} == {7, 8}
    curve = curve_of("c" * 40, asked, points)
    assert curve.helps
    assert curve.sentence.startswith("doubling the rows would give about +")
    assert "nats less" in curve.sentence
    page = render_curve(curve)
    assert page == render_curve(curve)
    assert "D" + curve.sentence[1:] in page
    assert run("git", "status", "--porcelain", cwd=project) == ""


def test_a_stopped_curve_goes_on_by_the_command_and_trains_nothing_again(project: Path) -> None:
    first = next(measure(open_repository(), Asked((0.25, 0.5, 1.0))))
    (kept,) = (project / ".tunegate/curve").rglob("25-0.json")
    before = kept.stat().st_mtime_ns
    command = [sys.executable, "-m", "tunegate.cli", "curve", "--shares", "25,50,100", "--json"]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert kept.stat().st_mtime_ns == before
    assert found["rows"] == [first.rows, 80, 160]
    assert found["helps"]
    assert 0.05 < found["fit"]["gain"] < 0.12
    assert Path(found["report"]).exists()


def test_a_stage_that_fails_stops_the_curve_with_its_words(project: Path, run: Callable[..., str]) -> None:
    params = read_yaml(project / "params.yaml")
    params["train"]["seed"] = 666
    write_yaml(project / "params.yaml", params)
    run("git", "commit", "-qam", "An unlucky seed", cwd=project)
    with pytest.raises(MachineError, match="this seed is unlucky"):
        next(measure(open_repository(), Asked()))


@pytest.mark.parametrize("shares", [(0.5, 1.0), (0.5, 0.25, 1.0), (0.0, 0.5, 1.0), (0.5, 1.0, 1.5)])
def test_shares_through_which_no_curve_goes_are_refused(shares: tuple[float, ...]) -> None:
    with pytest.raises(UsageError, match="at least 3 shares in ascending order"):
        require_sound(Asked(shares))


def test_shares_of_the_same_rows_and_a_metric_that_there_is_not_are_refused_before_a_training(
    project: Path, run: Callable[..., str]
) -> None:
    with pytest.raises(InputError, match=r"at least 3 different numbers of training rows \(got 2, 2, 2, 160\)"):
        next(measure(open_repository(), Asked((0.001, 0.002, 0.003, 1.0))))
    params = read_yaml(project / "params.yaml")
    params["train"]["technique"] = "pretrain"
    write_yaml(project / "params.yaml", params)
    run("git", "commit", "-qam", "Raw text", cwd=project)
    with pytest.raises(UsageError, match="pretrain learns raw text") as caught:
        next(measure(open_repository(), Asked()))
    assert caught.value.remedy == "--metric nll"
    assert not (project / ".tunegate/curve").exists()
