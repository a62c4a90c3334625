import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tunegate.files import read_yaml, write_yaml
from tunegate.params import load_params
from tunegate.preflight.run import Preflight, preflight, read_inputs
from tunegate.stages import tokenize
from tunegate.tables import read_parquet, write_parquet

Row = dict[str, Any]


@pytest.fixture
def base(staged_project: Path, tiny_model: Path) -> Path:
    """The base model's folder, with itself as its teacher."""
    shutil.copytree(tiny_model, staged_project / "models/base")
    shutil.copytree(tiny_model, staged_project / "models/base/teacher")
    return staged_project / "models/base"


def found(folder: Path, change: Callable[[int, Row], Row] = lambda _, row: row, **params: Row) -> Preflight:
    """The preflight of the small project's prepared rows, changed, with other parameters."""
    for split in ("train", "valid", "test"):
        path = Path(f"data/prepared/{split}.parquet")
        table = read_parquet(path)
        rows = [change(number, row) for number, row in enumerate(table.to_pylist())]
        write_parquet(path, pa.Table.from_pylist(rows, schema=table.schema))
    values = read_yaml(Path("params.yaml"))
    for section, more in params.items():
        values[section] |= more
    write_yaml(Path("params.yaml"), values)
    tokenize.main("params.yaml", "data/prepared", "data/validated", str(folder), "data/tokens")
    inputs = read_inputs(load_params(Path("params.yaml")), Path("data/prepared"), Path("data/tokens"), folder)
    return preflight(inputs, lambda _: None)


def status(made: Preflight) -> dict[str, str]:
    return {finding.check: finding.status for finding in made.findings}


def rejected(_: int, row: Row) -> Row:
    return row | {"rejected": "nobody"}


def partly_labelled(number: int, row: Row) -> Row:
    return row | {"label": row["label"] if number % 3 else None}


def raw(_: int, row: Row) -> Row:
    return row | {"label": None}


def conversation(_: int, row: Row) -> Row:
    turns = (("user", "hello"), ("assistant", "yes?"), ("user", row["text"]), ("assistant", row["label"]))
    return row | {"messages": [{"role": r, "content": c} for r, c in turns], "text": None, "label": None}


@pytest.mark.parametrize(
    ("technique", "change", "more"),
    [
        ("sft", None, {}),
        ("preference", rejected, {}),
        ("reinforce", None, {"reinforce": {"answers_per_row": 2, "max_new_tokens": 3}}),
        ("distill", None, {}),
        ("classify", None, {}),
        ("multitask", None, {}),
        ("semisupervised", partly_labelled, {}),
        ("fewshot", None, {}),
        ("pretrain", raw, {}),
    ],
)
def test_every_technique_can_be_looked_at_before(base: Path, technique: str, change: Any, more: Row) -> None:
    teacher = {"teacher": "tiny"} if technique == "distill" else {}
    train = {"technique": technique, "precision": "fp32", **more}
    made = found(base, change or (lambda _, row: row), train=train, base=teacher)
    assert not made.refused
    assert made.forecast is not None
    assert made.forecast.tokens > 0
    assert made.preview


def test_every_turn_of_a_conversation_is_looked_at(base: Path) -> None:
    made = found(base, conversation, tokenize={"turns": "all"}, train={"precision": "fp32"})
    assert {status(made)[check] for check in ("prompt", "round trip", "stop token")} == {"ok"}
    assert [piece.trained for piece in made.preview[0][1]] == [False, True, False, True]


def test_what_the_rows_refuse_is_not_tried_on_the_model(base: Path) -> None:
    params, folders = load_params(Path("params.yaml")), (Path("data/prepared"), Path("data/tokens"))
    inputs = read_inputs(params, *folders, base)
    inputs.labels["test"]["never seen"] = 1
    made = preflight(inputs, lambda _: None)
    assert [finding.check for finding in made.refused] == ["labels"]
    assert made.forecast is None
    assert "one batch" not in status(made)


@pytest.mark.parametrize(("task", "tasks"), [("kind", 3), ("source", 2)])
def test_the_tasks_that_test_rows_measure_are_counted(base: Path, task: str, tasks: int) -> None:
    made = found(
        base,
        lambda number, row: row | {"slices": [("kind", "abc"[number % 3])]},
        train={"technique": "multitask", "precision": "fp32", "multitask": {"task": task}},
    )
    (finding,) = (finding for finding in made.findings if finding.check == "tasks")
    assert (finding.status, finding.result) == ("ok", f"{tasks} tasks in train")


def test_each_of_several_labels_in_a_row_is_a_label(base: Path) -> None:
    made = found(
        base,
        lambda number, row: row | {"label": row["label"] + ("; urgent" if number % 2 else "; later")},
        train={"technique": "classify", "precision": "fp32", "classify": {"multi_label": True}},
    )
    (finding,) = (finding for finding in made.findings if finding.check == "labels")
    assert (finding.status, finding.result) == ("ok", "5 labels in train")


def test_what_is_to_be_trained_on_a_gpu_can_be_looked_at_without_one(base: Path) -> None:
    made = found(base, train={"device": "cuda", "precision": "bf16"})
    assert status(made)["device"] == "warning"
    assert not made.refused
    assert made.forecast is not None
    assert made.forecast.gpu_name == "T4"


def test_checks_that_a_technique_cannot_have_are_named(base: Path) -> None:
    made = found(base, rejected, train={"technique": "preference", "precision": "fp32", "preference": {"loss": "kto"}})
    assert status(made)["not checked"] == "skipped"
    assert "one batch" not in status(made)
