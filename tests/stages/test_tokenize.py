import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tunegate.data.ledger.stage_ledger import combine, make_ledger
from tunegate.data.rows import PLACED_ROW, ROW, Row, table_of
from tunegate.errors import InputError
from tunegate.files import read_json, read_yaml, sha256_of_tree, write_json, write_yaml
from tunegate.stages import tokenize
from tunegate.tables import BATCH_ROWS, read_parquet, write_parquet

ROOT = Path(__file__).parents[2]
LONG = "leaks " * 60


def row(name: str, text: str = "the roof leaks", source: str = "a") -> Row:
    return Row(name, name, source, f"f.csv:{name}", text=text, label="roof")


def write_left(path: Path, rows: list[Row], **columns: Any) -> None:
    table = table_of(rows, PLACED_ROW)
    for name, values in columns.items():
        kind = pa.list_(pa.string()) if name == "reasons" else pa.string()
        table = table.append_column(name, pa.array(values, kind))
    write_parquet(path, table)


@pytest.fixture(autouse=True)
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `validate` and `prepare` made of two sources: one row in quarantine, a duplicate, one over-long row."""
    monkeypatch.chdir(tmp_path)
    settings("drop")
    write_left(Path("validated/quarantine.parquet"), [row("q", "odd", "b")], reasons=[["short(text)", "other(text)"]])
    write_left(Path("prepared/dropped.parquet"), [row("d")], reason=["duplicate"], other=["t0"])
    splits = {
        "train": [row(f"t{n}") for n in range(3)] + [row("t9", LONG, "b")],
        "valid": [row("v")],
        "test": [row("x")],
    }
    for split, rows in splits.items():
        write_parquet(Path(f"prepared/{split}.parquet"), table_of(rows, ROW))
    quarantined = {"b": {"quarantine: short(text)": 1}}
    write_ledger("validate", {"a": 6, "b": 2}, {"a": 6, "b": 1}, quarantined)
    write_ledger("prepare", {"a": 6, "b": 1}, {"a": 5, "b": 1}, {"a": {"duplicate": 1}})


def write_ledger(stage: str, came: dict[str, int], went: dict[str, int], dropped: dict[str, dict[str, int]]) -> None:
    ledger = make_ledger(stage, sources_in=came, sources_out=went, dropped=dropped)
    write_json(Path(f"{stage.removesuffix('e')}ed/ledger.json"), ledger)


def settings(over_length: str, max_length: int = 60, **compute: Any) -> None:
    params = read_yaml(ROOT / "params.yaml")
    params["tokenize"] = {"max_length": max_length, "over_length": over_length}
    params["compute"] |= compute
    write_yaml(Path("params.yaml"), params)


@pytest.fixture
def run(tiny_model: Path) -> Callable[..., Path]:
    def tokenized(output: str = "tokens") -> Path:
        tokenize.main("params.yaml", "prepared", "validated", str(tiny_model), output)
        return Path(output)

    return tokenized


def outcomes(folder: Path) -> dict[str, dict[str, Any]]:
    return {outcome["id"]: outcome for outcome in read_parquet(folder / "row_outcomes.parquet").to_pylist()}


def test_every_row_has_one_outcome_with_its_tokens(run: Callable[..., Path]) -> None:
    found = outcomes(run())
    assert sorted(found) == ["d", "q", "t0", "t1", "t2", "t9", "v", "x"]
    told = {
        name: (outcome["stage"], outcome["split"], outcome["reason"], outcome["other"])
        for name, outcome in found.items()
    }
    assert told["q"] == ("validate", None, "quarantine: short(text)", None)
    assert told["d"] == ("prepare", None, "duplicate", "t0")
    assert told["t9"] == ("tokenize", None, "over_length", None)
    assert [told[name] for name in ("t0", "v", "x")] == [
        ("tokenize", split, None, None) for split in ("train", "valid", "test")
    ]
    assert found["d"]["tokens"] == found["t0"]["tokens"] == found["x"]["tokens"]
    assert [found[name]["trained"] > 0 for name in ("t0", "v", "x", "d")] == [True, True, False, False]


def test_a_test_row_that_could_not_be_answered_is_refused_before_any_training(run: Callable[..., Path]) -> None:
    unanswered = Row("x", "x", "a", "f.csv:x", text="the roof leaks")
    write_parquet(Path("prepared/test.parquet"), table_of([unanswered], ROW))
    with pytest.raises(InputError, match="no answer to learn") as caught:
        run()
    assert caught.value.place == "row x"


def test_rows_and_tokens_close_for_every_source(run: Callable[..., Path]) -> None:
    folder = run()
    combined = combine([Path("validated"), Path("prepared"), folder])
    found = list(outcomes(folder).values())
    assert combined["tokens"]["in"] == sum(outcome["tokens"] for outcome in found)
    assert combined["tokens"]["out"] == sum(outcome["tokens"] for outcome in found if not outcome["reason"])
    for outcome in combined["outcomes"]:
        same = [f for f in found if all(f[key] == outcome[key] for key in ("source", "stage", "split", "reason"))]
        assert (len(same), sum(f["tokens"] for f in same)) == (outcome["rows"], outcome["tokens"])
    assert sum(outcome["rows"] for outcome in combined["outcomes"]) == len(found) == combined["rows"]["in"]


def test_tokens_that_are_cut_off_have_a_outcome_of_their_own(run: Callable[..., Path]) -> None:
    whole = outcomes(run())["t9"]["tokens"]
    params = read_yaml(Path("params.yaml"))
    params["tokenize"] |= {"over_length": "truncate", "max_length": whole - 1}
    write_yaml(Path("params.yaml"), params)
    folder = run("cut")
    outcome = outcomes(folder)["t9"]
    assert (outcome["tokens"], outcome["cut"], outcome["split"]) == (whole - 1, 1, "train")
    (cut,) = [f for f in read_json(folder / "ledger.json")["outcomes"] if f["reason"] == "cut"]
    assert (cut["source"], cut["rows"], cut["tokens"]) == ("b", 0, 1)
    combined = combine([Path("validated"), Path("prepared"), folder])
    assert combined["stages"][-1]["tokens"]["in"] - combined["stages"][-1]["tokens"]["out"] == 1


def test_what_is_trained_on_is_what_is_written(run: Callable[..., Path]) -> None:
    folder = run()
    tokens = {e["id"]: e for split in ("train", "valid") for e in read_parquet(folder / f"{split}.parquet").to_pylist()}
    for name, outcome in outcomes(folder).items():
        if name in tokens:
            labels = tokens[name]["labels"]
            assert (outcome["tokens"], outcome["trained"]) == (len(labels), sum(label >= 0 for label in labels))
    assert sorted(tokens) == ["t0", "t1", "t2", "v"]


def test_a_cluster_gives_the_same_bytes(run: Callable[..., Path], pickling_engine: None) -> None:
    rows = [row(f"t{n:05d}", f"the roof leaks {n} times" + "<|im_end|>" * (n % 2)) for n in range(BATCH_ROWS + 10)]
    write_parquet(Path("prepared/train.parquet"), table_of([*rows, row("t9", LONG, "b")], ROW))
    write_ledger("validate", {"a": 8205, "b": 2}, {"a": 8205, "b": 1}, {"b": {"quarantine: short(text)": 1}})
    write_ledger("prepare", {"a": 8205, "b": 1}, {"a": 8204, "b": 1}, {"a": {"duplicate": 1}})
    here = sha256_of_tree(run())
    settings("drop", engine="ray")
    assert sha256_of_tree(run("there")) == here


def test_rows_of_another_run_are_refused_and_nothing_is_written(run: Callable[..., Path]) -> None:
    write_ledger("prepare", {"a": 6, "b": 1}, {"a": 4, "b": 1}, {"a": {"duplicate": 2}})
    with pytest.raises(InputError, match="tokenize got 6 rows, but prepare gave 5") as caught:
        run()
    assert "dvc repro" in caught.value.remedy
    write_ledger("prepare", {"a": 6, "b": 1}, {"a": 5, "b": 1}, {"a": {"too_short": 1}})
    with pytest.raises(InputError, match=re.escape("0 rows of a are 'duplicate', but ")):
        run()
    assert not Path("tokens").exists()


@pytest.mark.parametrize("name", ["validated/quarantine", "prepared/dropped", "prepared/train", "prepared/test"])
def test_a_file_of_an_earlier_stage_that_is_missing_is_named(run: Callable[..., Path], name: str) -> None:
    Path(f"{name}.parquet").unlink()
    with pytest.raises(InputError, match="no such file") as caught:
        run()
    assert (caught.value.place, "dvc repro" in caught.value.remedy) == (f"{name}.parquet", True)


def test_a_split_of_which_nothing_fits_is_refused(run: Callable[..., Path]) -> None:
    write_parquet(Path("prepared/valid.parquet"), table_of([row("v", LONG)], ROW))
    with pytest.raises(InputError, match="no example of the split valid fits into 60 tokens"):
        run()


def test_remembered_rows_give_the_same_bytes_and_other_settings_are_not_mixed_up(run: Callable[..., Path]) -> None:
    first = sha256_of_tree(run("first"))
    memories = {path.name for path in Path(".tunegate/reuse").iterdir()}
    assert memories == {f"tokenize-{name}.parquet" for name in ("quarantine", "dropped", "train", "valid", "test")}
    assert sha256_of_tree(run("again")) == first
    settings("drop", max_length=1000)
    longer = sha256_of_tree(run("longer"))
    settings("drop", max_length=1000, reuse=False)
    assert sha256_of_tree(run("fresh")) == longer != first


def learns(technique: str, **tokenize: Any) -> None:
    params = read_yaml(ROOT / "params.yaml")
    params["tokenize"], params["train"] = tokenize, {"technique": technique}
    write_yaml(Path("params.yaml"), params)


def test_a_long_document_goes_on_in_further_examples_and_its_tokens_close(run: Callable[..., Path]) -> None:
    learns("pretrain", max_length=16, over_length="split")
    long = Row("t9", "t9", "b", text=LONG)
    raw = [Row(f"t{n}", f"t{n}", "a", text="the roof leaks") for n in range(3)]
    others = {split: [Row(name, name, "a", text="roof")] for split, name in (("valid", "v"), ("test", "x"))}
    for split, rows in ({"train": [*raw, long]} | others).items():
        write_parquet(Path(f"prepared/{split}.parquet"), table_of(rows, ROW))
    folder = run()
    found, tokens = outcomes(folder), read_parquet(folder / "train.parquet").to_pylist()
    pieces = [example for example in tokens if example["id"].startswith("t9")]
    assert [example["id"] for example in pieces] == ["t9", *(f"t9#{n}" for n in range(2, len(pieces) + 1))]
    assert sum(len(example["ids"]) for example in pieces) == found["t9"]["tokens"] > 16
    assert sum(label >= 0 for example in pieces for label in example["labels"]) == found["t9"]["trained"]
    notes = read_json(folder / "ledger.json")["notes"]
    assert (notes["train_rows_out"], notes["train_examples_out"]) == (4, 3 + len(pieces))
    assert notes["train_tokens_in"] == notes["train_tokens_out"] == sum(len(example["ids"]) for example in tokens)
    combine([Path("validated"), Path("prepared"), folder])


def test_rows_without_a_label_are_kept_as_prompts_only_where_the_technique_learns_from_them(
    run: Callable[..., Path],
) -> None:
    rows = [*(row(f"t{n}") for n in range(3)), Row("t9", "t9", "b", text="no warm water")]
    write_parquet(Path("prepared/train.parquet"), table_of(rows, ROW))
    learns("semisupervised")
    folder = run()
    assert outcomes(folder)["t9"]["trained"] == 0
    unlabelled = read_parquet(folder / "train.parquet").to_pylist()[-1]
    assert (unlabelled["id"], set(unlabelled["labels"])) == ("t9", {-100})
    assert dict(unlabelled["tasks"]) == {"source": "b"}
    learns("sft")
    with pytest.raises(InputError, match="neither messages nor a label") as caught:
        run("refused")
    assert caught.value.place == "row t9"


def test_techniques_do_not_share_what_is_remembered(run: Callable[..., Path]) -> None:
    learns("sft")
    run("answers")
    learns("multitask")
    assert all(example["tasks"] for example in read_parquet(run("tasks") / "train.parquet").to_pylist())
