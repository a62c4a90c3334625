import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tunegate.data.preparation.prepare import prepare
from tunegate.data.rows import Row
from tunegate.data.sources.ingest import ingest
from tunegate.errors import InputError
from tunegate.files import read_json, sha256_of_tree
from tunegate.params import Compute, Mix, PersonalData, load_params
from tunegate.tables import parquet_batches

Make = Callable[..., Row]
ROOT = Path(__file__).resolve().parents[3]
EVERYTHING = {
    "valid_share": 0.2,
    "test_share": 0.2,
    "near_duplicates": 0.8,
    "min_characters": 4,
    "max_repetition": 0.9,
    "strip_html": True,
    "secrets": "drop",
    "personal_data": PersonalData(action="mask"),
    "mixture": {"b": Mix(cap=60)},
}


@pytest.fixture
def everything(row: Make, prose: Callable[[int], str]) -> list[Row]:
    """Rows of which each step has some to work on."""
    dice = random.Random(5)
    rows = []
    for number in range(240):
        text = dice.choice(
            [f" {prose(number)}", prose(number // 3) + " now" * dice.randint(0, 1), "Hi?", "<b>Vad är</b>"]
        )
        text += dice.choice(["", "", "", " jane@acme-roofs.com", f" ghp_{'0aB1cD2eF3' * 4}"])
        values: dict[str, Any] = {"text": text, "label": dice.choice("xy")}
        if number % 5 == 0:
            turns = [("user", text), ("assistant", "Yes.")]
            values |= {"text": None, "label": None}
            values["messages"] = tuple({"role": role, "content": content} for role, content in turns)
        source = "ab"[number // 120]
        rows.append(row(f"r{number}", group=f"g{number // 2}", source=source, slices={"n": str(number % 3)}, **values))
    return rows


def test_every_row_that_came_is_kept_or_dropped_once_and_the_ledger_counts_it(
    everything: list[Row], prepared: Callable[..., Any]
) -> None:
    outcome = prepared(everything, **EVERYTHING)
    assert sorted([*outcome.where, *outcome.dropped]) == sorted(one.id for one in everything)
    reasons = [reason for reason, _, _ in outcome.dropped.values()]
    assert outcome.ledger["reasons"] == {reason: reasons.count(reason) for reason in set(reasons)}
    assert len(set(reasons)) >= 6
    assert outcome.ledger["rows"] == {"in": 240, "out": 240 - len(reasons)}


@pytest.mark.parametrize("batch", [3, 7, 100])
def test_the_same_bytes_are_written_however_rows_are_cut_into_batches(
    everything: list[Row], prepared: Callable[..., Any], batch: int
) -> None:
    whole, cut = prepared(everything, **EVERYTHING), prepared(everything, batch=batch, **EVERYTHING)
    assert _tree(whole) == _tree(cut)


def test_rows_that_are_remembered_give_the_same_bytes(
    everything: list[Row], prepared: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    prepared(everything[:200], compute=Compute(), **EVERYTHING)
    remembering = prepared(everything, compute=Compute(), **EVERYTHING)
    assert _tree(remembering) == _tree(prepared(everything, **EVERYTHING))
    other = EVERYTHING | {"personal_data": PersonalData(action="drop")}
    assert _tree(prepared(everything, compute=Compute(), **other)) == _tree(prepared(everything, **other))


def test_the_same_bytes_are_written_with_little_memory(row: Make, prepared: Callable[..., Any]) -> None:
    dice = random.Random(2)
    words = ["".join(dice.choices("abcdefghij", k=6)) for _ in range(5_000)]
    rows = [row(f"r{n}", text=" ".join(dice.choices(words, k=40))) for n in range(20_000)]
    rows += [row(f"s{n}", text=f"{rows[n].text} now") for n in range(200)]
    wanted = EVERYTHING | {"mixture": {}}
    little, much = (prepared(rows, compute=Compute(memory=memory, reuse=False), **wanted) for memory in ("64MB", "4GB"))
    assert _tree(little) == _tree(much)
    assert little.ledger["reasons"]["near_duplicate"] == 200


def test_the_same_bytes_are_written_by_a_cluster(
    everything: list[Row], prepared: Callable[..., Any], pickling_engine: None
) -> None:
    here = prepared(everything, **EVERYTHING)
    there = prepared(everything, batch=50, compute=Compute(engine="ray"), **EVERYTHING)
    assert _tree(here) == _tree(there)


def test_the_order_of_unique_rows_does_not_change_the_splits(row: Make, prepared: Callable[..., Any]) -> None:
    rows = [row(f"r{n}") for n in range(60)]
    shares = {"valid_share": 0.2, "test_share": 0.2}
    assert _tree(prepared(rows, **shares)) == _tree(prepared(rows[::-1], **shares))


def test_repairs_are_counted_by_rows(row: Make, prepared: Callable[..., Any]) -> None:
    outcome = prepared([row("1", text="Ã¤?", label=" x "), row("2", text=" b?", label=" x "), row("3")])
    assert outcome.texts == {"1": "ä?", "2": "b?", "3": "Question 3?"}
    assert outcome.changes == {"1": ["repaired: encoding", "repaired: white_space"], "2": ["repaired: white_space"]}
    assert outcome.ledger["notes"]["repaired: white_space"] == 2
    assert outcome.ledger["notes"]["repaired: encoding"] == 1


def test_nothing_is_repaired_when_not_asked(row: Make, prepared: Callable[..., Any]) -> None:
    outcome = prepared([row("1", text=" a?")], repair_text=False)
    assert (outcome.texts, outcome.changes) == ({"1": " a?"}, {})


def test_a_row_of_which_nothing_is_left_is_dropped_with_its_reason(row: Make, prepared: Callable[..., Any]) -> None:
    outcome = prepared([row("1"), row("2", text="\u200b\x00")])
    assert outcome.dropped == {"2": ("empty_after_repair", None, None)}
    assert outcome.ledger["reasons"] == {"empty_after_repair": 1}


def test_doubtful_labels_of_the_training_rows_are_listed_when_asked(row: Make, prepared: Callable[..., Any]) -> None:
    texts = {"roof": "the roof leaks and tiles fall", "heat": "no warm water and a cold radiator"}
    rows = [row(f"{label}{n}", text=f"{text} {n}", label=label) for label, text in texts.items() for n in range(30)]
    rows.append(row("odd", text=texts["roof"], label="heat"))
    folder = prepared(rows, label_noise=True).folder
    assert '"id": "odd"' in (folder / "label_issues.json").read_text()
    assert not (prepared(rows, label_noise=False).folder / "label_issues.json").exists()


def test_without_any_row_the_empty_split_is_named(prepared: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match="the train split is empty: 0 groups"):
        prepared([], near_duplicates=0.9, min_rows_per_label=5)


def test_the_default_project_keeps_translations_together_and_every_desk_in_train(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    rows = tmp_path / "rows.parquet"
    ingest(Path("data/sources.yaml"), Path("data/raw"), Path("requirements/pipeline.txt"), rows, memory=2**30)
    wanted = load_params(Path("params.yaml")).prepare.model_copy(update={"label_noise": False})
    ledger = prepare(parquet_batches(rows), tmp_path / "out", wanted, Compute(reuse=False))
    assert {name: ledger["notes"][f"split: {name}"] for name in ("train", "valid", "test")} == {
        "train": 733,
        "valid": 86,
        "test": 178,
    }
    assert ledger["notes"]["labels_not_in_train"] == 0
    assert ledger["reasons"] == {"duplicate": 8, "question_also_in_test": 1}


def _tree(outcome: Any) -> str:
    for path in sorted((outcome.folder / "work").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    return sha256_of_tree(outcome.folder)


def test_labels_of_labelled_rows_alone_are_doubted(row: Callable[..., Row], prepared: Callable[..., Any]) -> None:
    rows = [row(f"r{n}", label=("roof", "heat", None)[n % 3]) for n in range(30)]
    outcome = prepared(rows, label_noise=True)
    assert read_json(outcome.folder / "label_issues.json")["rows"] == 20
