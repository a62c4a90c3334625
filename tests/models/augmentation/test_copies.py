import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tunegate.data.ledger.stage_ledger import combine, make_ledger
from tunegate.data.rows import PLACED_ROW, ROW, Row, table_of
from tunegate.files import read_json, read_yaml, sha256_of_tree, write_json, write_yaml
from tunegate.models.augmentation import copies
from tunegate.models.folders import TRANSLATOR
from tunegate.stages import tokenize
from tunegate.tables import read_parquet, write_parquet

ROOT = Path(__file__).parents[3]
TYPO = {"kind": "typo", "copies": 2, "rate": 0.1}
HELLO = {"kind": "template", "templates": ["Hello, {text}"]}
Run = Callable[..., Path]


def row(name: str, text: str = "the roof leaks in the kitchen", **more: Any) -> Row:
    return Row(name, name, "a", **({"text": text, "label": "roof"} | more))


TRAIN = [row(f"t{number}", f"the roof leaks above room number {number}") for number in range(6)]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_model: Path) -> Run:
    """Stage tokenize over these training rows with these augmentations."""
    monkeypatch.chdir(tmp_path)

    def tokenized(*augment: dict[str, Any], rows: list[Row] = TRAIN, output: str = "tokens", **settings: Any) -> Path:
        splits = {"train": rows, "valid": [row("v")], "test": [row("x", "hello, the roof leaks above room number 2")]}
        for split, held in splits.items():
            write_parquet(Path(f"prepared/{split}.parquet"), table_of(held, ROW))
        write_left("validated/quarantine", "reasons")
        write_left("prepared/dropped", "reason", "other")
        total = len(rows) + 2
        for stage in ("validate", "prepare"):
            ledger = make_ledger(stage, sources_in={"a": total}, sources_out={"a": total})
            write_json(Path(f"{stage.removesuffix('e')}ed/ledger.json"), ledger)
        params = read_yaml(ROOT / "params.yaml")
        base = params["base"] | {"translator": settings.pop("translator", None)}
        params |= {"tokenize": {"augment": list(augment), **settings}, "base": base}
        params["compute"] |= {"reuse": False}
        write_yaml(Path("params.yaml"), params)
        folder = Path("base") if Path("base").exists() else tiny_model
        tokenize.main("params.yaml", "prepared", "validated", str(folder), output)
        return Path(output)

    return tokenized


def write_left(path: str, *names: str) -> None:
    table = table_of([], PLACED_ROW)
    for name in names:
        table = table.append_column(name, pa.array([], pa.list_(pa.string()) if name == "reasons" else pa.string()))
    write_parquet(Path(f"{path}.parquet"), table)


def read(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = read_parquet(path).to_pylist()
    return rows


def test_every_copy_has_its_parent_and_its_tokens(run: Run) -> None:
    folder = run(TYPO, {"kind": "swap"}, {"kind": "delete"})
    augmented, tokens = read(folder / "augmented.parquet"), read(folder / "train.parquet")
    assert [line["id"] for line in augmented[:4]] == ["t0~typo-1", "t0~typo-2", "t0~swap-1", "t0~delete-1"]
    assert all(line["id"] == f"{line['parent']}~{line['kind']}-{line['id'][-1]}" for line in augmented)
    assert [row["id"] for row in tokens] == [f"t{n}" for n in range(6)] + [line["id"] for line in augmented]
    answers = {tuple(label for label in row["labels"] if label >= 0) for row in tokens}
    assert len(answers) == 1
    assert len({tuple(row["ids"]) for row in tokens}) == len(tokens)


def test_copies_are_in_the_ledger_and_its_sums_still_close(run: Run) -> None:
    folder = run(TYPO, HELLO)
    notes, augmented = read_json(folder / "ledger.json")["notes"], read(folder / "augmented.parquet")
    assert notes["augmented_rows"] == len(augmented) == notes["augmented_typo"] + notes["augmented_template"]
    assert notes["augmented_tokens_trained"] > 0
    assert notes["train_rows_in"] == 6
    combined = combine([Path("validated"), Path("prepared"), folder])
    assert combined["rows"] == {"in": 8, "out": 8}
    assert len(read(folder / "row_outcomes.parquet")) == 8


def test_a_copy_that_asks_what_another_row_asks_is_dropped_and_counted(run: Run) -> None:
    folder = run(HELLO, {"kind": "template", "templates": ["{text}"]})
    augmented = {line["id"] for line in read(folder / "augmented.parquet")}
    assert augmented == {f"t{number}~template-1" for number in (0, 1, 3, 4, 5)}
    assert read_json(folder / "ledger.json")["notes"]["augmented_dropped_equal"] == 7


def test_the_same_rows_give_the_same_bytes_in_batches_of_any_size(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    first = sha256_of_tree(run(TYPO, HELLO))
    monkeypatch.setattr(copies, "_ROWS", 2)
    assert sha256_of_tree(run(TYPO, HELLO, output="again")) == first


def test_a_copy_does_not_depend_on_the_other_rows(run: Run) -> None:
    folder = run(TYPO)
    both = {line["id"]: line["text"] for line in read(folder / "augmented.parquet")}
    alone = {line["id"]: line["text"] for line in read(run(TYPO, rows=TRAIN[3:], output="alone") / "augmented.parquet")}
    assert alone == {name: text for name, text in both.items() if name[:2] in ("t3", "t4", "t5")}


def test_rows_that_are_dropped_have_no_copies_and_over_long_copies_are_counted(run: Run) -> None:
    rows = [*TRAIN, row("long", "leaks " * 80)]
    longest = max(len(row["ids"]) for row in read(run(output="plain") / "train.parquet"))
    folder = run({"kind": "delete", "rate": 0.9}, HELLO, rows=rows, max_length=longest)
    augmented = read(folder / "augmented.parquet")
    assert "t0" in {line["parent"] for line in augmented} <= {f"t{n}" for n in range(6)}
    assert read_json(folder / "ledger.json")["notes"]["augmented_dropped_over_length"] == 5
    assert read_json(folder / "ledger.json")["notes"]["augmented_dropped_equal"] >= 1
    assert {line["kind"] for line in augmented} == {"delete"}


def test_of_a_conversation_what_the_user_says_last_is_said_otherwise(run: Run) -> None:
    turns = ["hello", "which room?", "the roof leaks in room three", "roof"]
    conversation = tuple({"role": r, "content": c} for r, c in zip(["user", "assistant"] * 2, turns, strict=True))
    folder = run(HELLO, rows=[row("c", text=None, label=None, messages=conversation)], turns="all")
    (line,) = read(folder / "augmented.parquet")
    assert line["text"] == "Hello, the roof leaks in room three"
    whole, copy = read(folder / "train.parquet")
    assert [label for label in copy["labels"] if label >= 0] == [label for label in whole["labels"] if label >= 0]


def test_without_augmentation_there_is_no_file_of_copies(run: Run) -> None:
    folder = run()
    assert not (folder / "augmented.parquet").exists()
    assert not [name for name in read_json(folder / "ledger.json")["notes"] if name.startswith("augmented")]


def test_a_translator_is_asked_there_and_back(run: Run, tiny_model: Path) -> None:
    shutil.copytree(tiny_model, "base")
    shutil.copytree(tiny_model, Path("base") / TRANSLATOR)
    how = {"kind": "back_translation", "templates": ["In Swedish: {text}", "In English: {text}"]}
    folder = run(how, rows=TRAIN[:2], translator="tiny", max_length=2000)
    augmented = read(folder / "augmented.parquet")
    assert [line["id"] for line in augmented] == ["t0~back_translation-1", "t1~back_translation-1"]
    assert all(line["text"] not in [row.text for row in TRAIN] for line in augmented)
    assert sha256_of_tree(
        run(how, rows=TRAIN[:2], translator="tiny", max_length=2000, output="again")
    ) == sha256_of_tree(folder)
