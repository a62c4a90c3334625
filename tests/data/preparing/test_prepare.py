from collections.abc import Callable
from pathlib import Path

import pytest

from tunegate.data.preparing.prepare import Prepared, prepare
from tunegate.data.rows import Row
from tunegate.data.sources.ingest import ingest
from tunegate.errors import InputError
from tunegate.params import Prepare, load_params

Make = Callable[..., Row]
ROOT = Path(__file__).resolve().parents[3]


def run(rows: list[Row], **values: object) -> Prepared:
    defaults = {"valid_share": 0.0, "test_share": 0.0, "min_rows_per_label": 1}
    # Past the checks, which want all three splits: here only the rest of the work is looked at.
    settings = Prepare.model_construct(**{**defaults, **values})  # type: ignore[arg-type]
    return prepare(rows, settings, place="params.yaml")


def test_a_duplicate_is_dropped_and_the_first_kept_with_both_ids_in_the_ledger(row: Make) -> None:
    rows = [row("b", text="Why  so?"), row("a", text="why so?"), row("c", text="Why so?", label="y")]
    splits, ledger = run(rows)
    assert [one.id for one in splits["train"]] == ["b", "c"]
    assert ledger["reasons"] == {"duplicate": 1}
    assert ledger["details"]["duplicates"] == {"a": "b"}


def test_duplicates_stay_when_asked(row: Make) -> None:
    rows = [row("a", text="a?"), row("b", text="a?")]
    assert len(run(rows, deduplicate=False).splits["train"]) == 2


def test_repairs_are_counted_by_rows(row: Make) -> None:
    splits, ledger = run([row("1", text="Ã¤?", label=" x "), row("2", text=" b?", label=" x ")])
    assert [one.text for one in splits["train"]] == ["ä?", "b?"]
    assert ledger["notes"]["repaired: white_space"] == 2
    assert ledger["notes"]["repaired: encoding"] == 1


def test_nothing_is_repaired_when_not_asked(row: Make) -> None:
    splits, ledger = run([row("1", text=" a?")], repair_text=False)
    assert splits["train"][0].text == " a?"
    assert "repaired: white_space" not in ledger["notes"]


def test_a_row_of_which_nothing_is_left_is_dropped_with_its_reason(row: Make) -> None:
    splits, ledger = run([row("1"), row("2", text="\u200b\x00")])
    assert [one.id for one in splits["train"]] == ["1"]
    assert ledger["reasons"] == {"empty_after_repair": 1}
    assert ledger["details"]["dropped"] == {"2": "empty_after_repair"}


def test_a_class_with_one_row_is_refused_with_its_count(row: Make) -> None:
    rows = [row("1"), row("2"), row("3", label="lonely")]
    with pytest.raises(InputError) as caught:
        run(rows, min_rows_per_label=2)
    assert caught.value.place == "params.yaml: prepare.min_rows_per_label"
    assert caught.value.problem == "1 of 2 labels have fewer than 2 rows: 'lonely' (1)"
    assert caught.value.remedy.startswith("add rows, merge the label")


def test_a_duplicate_does_not_count_as_a_second_row_of_its_class(row: Make) -> None:
    with pytest.raises(InputError, match=r"'x' \(1\)"):
        run([row("1", text="a?"), row("2", text="a?")], min_rows_per_label=2)


def test_conversations_have_no_classes(row: Make) -> None:
    messages = ({"role": "user", "content": "a?"}, {"role": "assistant", "content": "b"})
    assert (
        run([row("1", text=None, label=None, messages=messages)], min_rows_per_label=5).ledger["notes"]["labels"] == 0
    )


def test_the_order_of_unique_rows_does_not_change_the_splits(row: Make) -> None:
    rows = [row(f"r{n}") for n in range(60)]
    shares = {"valid_share": 0.2, "test_share": 0.2}
    assert run(rows, **shares) == run(rows[::-1], **shares)


def test_labels_that_cannot_be_learned_are_counted(row: Make) -> None:
    rows = [row(f"r{n}") for n in range(60)]
    tested = run(rows, test_share=0.2).splits["test"][0].id
    rows = [row(one.id, label="unseen") if one.id == tested else one for one in rows]
    assert run(rows, test_share=0.2).ledger["notes"]["labels_not_in_train"] == 1


def test_the_default_project_keeps_translations_together_and_every_desk_in_train(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    rows = ingest(Path("data/sources.yaml"), Path("data/raw"), Path("requirements/pipeline.txt")).rows
    splits, ledger = prepare(rows, load_params(Path("params.yaml")).prepare, place="params.yaml")
    groups = [{one.group for one in split} for split in splits.values()]
    assert not groups[0] & groups[1] | groups[0] & groups[2] | groups[1] & groups[2]
    assert {name: len(split) for name, split in splits.items()} == {"train": 733, "valid": 86, "test": 178}
    assert ledger["notes"]["labels_not_in_train"] == 0
    assert ledger["reasons"] == {"duplicate": 8, "question_also_in_test": 1}
