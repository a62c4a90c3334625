import shutil
from pathlib import Path

import pyarrow as pa
import pytest
from staged_project import MAIL, SECRET, questions, split_of

from tunegate.data.diff.ledger_table import balance
from tunegate.data.diff.row_history import Paths, RowHistory, history_of
from tunegate.data.ledger.stage_ledger import combine
from tunegate.errors import InputError
from tunegate.files import read_json, write_json
from tunegate.tables import read_parquet, write_parquet

_FOLDERS = ("data/ingested", "data/validated", "data/prepared", "data/tokens", "models/adapter")
PATHS = Paths(*map(Path, (*_FOLDERS, "predictions.parquet")))


def step(history: RowHistory, stage: str) -> str:
    step = next(step for step in history.steps if step.stage == stage)
    return "\n".join([step.summary, *step.lines])


def test_the_ledgers_of_a_real_project_balance_for_every_reason(staged_project: Path) -> None:
    combined = combine([Path("data") / name for name in ("ingested", "validated", "prepared", "tokens")])
    reasons = {outcome["reason"].split(":")[0] for outcome in combined["outcomes"] if outcome["reason"]}
    assert reasons >= {"over_limit", "quarantine", "duplicate", "near_duplicate", "secret", "over_length"}
    assert any(reason.startswith("question_also_in_") for reason in reasons)
    assert balance(combined).startswith("the sums balance: 86 rows in = ")
    outcomes = read_parquet(Path("data/tokens/row_outcomes.parquet"))
    ingested = read_parquet(Path("data/ingested/rows.parquet"))
    assert sorted(outcomes["id"].to_pylist()) == sorted(ingested["id"].to_pylist())


def test_a_kept_row_has_its_place_its_licence_its_split_and_its_tokens(staged_project: Path) -> None:
    history = history_of("roof-3", PATHS)
    line = next(n for n, row in enumerate(questions(), 2) if row[0] == "roof-3")
    assert (history.place, history.license, history.source) == (f"data/raw/desks.csv:{line}", "CC0-1.0", "desks")
    assert (history.split, history.outcome) == (split_of("roof-3"), f"kept: {split_of('roof-3')}")
    assert [step.stage for step in history.steps] == ["ingest", "validate", "prepare", "tokenize"]
    assert history.tokens
    assert step(history, "tokenize").startswith(f"{history.tokens} tokens")


def test_a_repaired_row_shows_word_by_word_what_changed(staged_project: Path) -> None:
    history = history_of("broken", PATHS)
    words = history.steps[2].words
    assert "repaired: encoding" in history.steps[2].lines
    assert "".join(w.text for w in words if w.side != "before") == "user: värmepumpen låter i huset"
    assert "".join(w.text for w in words if w.side != "after") == "user: vÃ¤rmepumpen lÃ¥ter i huset"


def test_personal_data_and_secrets_are_mentioned_but_not_shown(staged_project: Path) -> None:
    mail, key = history_of("mail", PATHS), history_of("key", PATHS)
    assert "masked: email" in mail.steps[2].lines
    assert "[EMAIL]" in mail.text
    assert (key.reason, key.outcome) == ("secret", "left in prepare: secret")
    assert MAIL not in mail.model_dump_json()
    assert SECRET not in key.model_dump_json()


def rewrite(path: str, name: str, **values: object) -> None:
    """Give the row with the id `name` other values."""
    table = read_parquet(Path(path))
    rows = [row | values if row["id"] == name else row for row in table.to_pylist()]
    write_parquet(Path(path), pa.Table.from_pylist(rows, schema=table.schema))


def test_what_was_masked_by_a_model_is_not_shown_in_a_diff(staged_project: Path) -> None:
    rewrite(f"data/prepared/{split_of('mail')}.parquet", "mail", text="[PERSON] writes")
    history = history_of("mail", PATHS)
    assert (history.steps[2].words, history.text) == ((), "user: [PERSON] writes\nassistant: roof")


def test_a_name_in_a_row_dropped_for_a_secret_is_not_shown_in_a_diff(staged_project: Path) -> None:
    rewrite("data/prepared/dropped.parquet", "key", text="our key is [SECRET] says [PERSON]")
    assert history_of("key", PATHS).steps[2].words == ()


def test_the_row_that_is_duplicated_is_shown_masked(staged_project: Path) -> None:
    rewrite(f"data/prepared/{split_of('near-1')}.parquet", "near-1", text="[PERSON] says that the pump is loud")
    assert step(history_of("near-2", PATHS), "prepare").split("\n")[2:] == [
        "user: [PERSON] says that the pump is loud",
        "assistant: noise",
    ]


@pytest.mark.parametrize(
    ("name", "other", "reason"), [("twice", "roof-0", "duplicate"), ("near-2", "near-1", "near_duplicate")]
)
def test_a_duplicate_names_the_row_that_it_repeats(staged_project: Path, name: str, other: str, reason: str) -> None:
    history = history_of(name, PATHS)
    assert (history.reason, history.other, history.split) == (reason, other, None)
    assert f"repeats {other}" in step(history, "prepare")
    assert [step.stage for step in history.steps] == ["ingest", "validate", "prepare"]


def test_a_leak_names_the_row_of_the_other_split(staged_project: Path) -> None:
    dropped = read_parquet(Path("data/prepared/dropped.parquet")).to_pylist()
    leak = next(row for row in dropped if row["reason"].startswith("question_also_in_"))
    history = history_of(leak["id"], PATHS)
    assert history.reason == f"question_also_in_{split_of(leak['other'])}"
    assert f"repeats {leak['other']}" in step(history, "prepare")


def test_quarantine_and_over_length_are_reported_where_they_happened(staged_project: Path) -> None:
    short, long = history_of("short", PATHS), history_of("long", PATHS)
    assert short.steps[-1].lines == ("expect_column_value_lengths_to_be_between(text)",)
    assert short.reason == "quarantine: expect_column_value_lengths_to_be_between(text)"
    assert (long.outcome, long.reason) == ("left in tokenize: over_length", "over_length")
    assert long.tokens
    assert long.tokens > 128


def test_a_test_row_shows_whether_it_was_answered_right(staged_project: Path) -> None:
    name = read_parquet(Path("data/prepared/test.parquet"))["id"].to_pylist()[0]
    assert [step.stage for step in history_of(name, PATHS).steps][-1] == "tokenize"
    prediction = {"id": name, "reference": "roof", "base_answer": "?", "base_correct": False}
    prediction |= {"tuned_answer": f"ask {MAIL}", "tuned_correct": True}
    write_parquet(PATHS.predictions, pa.Table.from_pylist([prediction]))
    lines = step(history_of(name, PATHS), "evaluate").split("\n")
    assert lines == [
        "the tuned model answers it right",
        "base model, wrong: ?",
        "tuned model, right: ask [EMAIL]",
        "reference: roof",
    ]


def test_an_unknown_id_gets_those_nearest_to_it(staged_project: Path) -> None:
    with pytest.raises(InputError, match="no row 'Raof-3'") as caught:
        history_of("Raof-3", PATHS)
    assert caught.value.remedy.startswith("the nearest ids are: roof-3, ")


def test_a_history_goes_as_far_as_the_stages_have_run(staged_project: Path) -> None:
    shutil.rmtree("data/tokens")
    assert step(history_of("roof-3", PATHS), "tokenize") == "has not run: `dvc repro tokenize`"
    shutil.rmtree("data/validated")
    history = history_of("roof-3", PATHS)
    assert [step.stage for step in history.steps] == ["ingest", "validate"]
    assert step(history, "validate") == "has not run: `dvc repro validate`"
    shutil.rmtree("data/ingested")
    with pytest.raises(InputError, match="no such file"):
        history_of("roof-3", PATHS)


@pytest.mark.parametrize("file", ["validated/rows", "prepared/train", "tokens/row_outcomes"])
def test_outputs_of_different_runs_are_refused(staged_project: Path, file: str) -> None:
    name = read_parquet(Path("data/prepared/train.parquet"))["id"].to_pylist()[0]
    path = Path(f"data/{file}.parquet")
    write_parquet(path, read_parquet(path).slice(0, 0))
    with pytest.raises(InputError, match="has no record of it") as caught:
        history_of(name, PATHS)
    assert "different runs" in caught.value.remedy


@pytest.mark.parametrize(
    "values",
    [{"text": "another question"}, {"text": None, "messages": [{"role": "assistant", "content": "a"}]}],
    ids=["other text", "other turns"],
)
@pytest.mark.parametrize("name", ["roof-3", "broken"])
def test_a_row_that_was_edited_since_is_not_shown_as_if_a_stage_had_edited_it(
    staged_project: Path, name: str, values: dict[str, object]
) -> None:
    rewrite("data/ingested/rows.parquet", name, **values)
    with pytest.raises(InputError, match="no stage recorded a change") as caught:
        history_of(name, PATHS)
    assert (caught.value.place, "different runs" in caught.value.remedy) == ("data/validated", True)
    rewrite("data/validated/rows.parquet", name, **values)
    if name == "roof-3" or "messages" in values:
        with pytest.raises(InputError, match="no stage recorded a change") as caught:
            history_of(name, PATHS)
        assert caught.value.place == "data/prepared"


def test_a_history_is_made_from_ledgers_of_one_run_only(staged_project: Path) -> None:
    path = Path("data/prepared/ledger.json")
    ledger = read_json(path)
    for rows in (ledger["rows"], ledger["per_source"]["desks"]):
        rows["in"], rows["out"] = rows["in"] + 1, rows["out"] + 1
    write_json(path, ledger)
    with pytest.raises(InputError, match=r"80 rows.*79"):
        history_of("broken", PATHS)


def test_an_edit_is_shown_however_far_down_the_text_it_is(staged_project: Path) -> None:
    long = "word " * 1500
    for file in ("ingested/rows", "validated/rows"):
        rewrite(f"data/{file}.parquet", "broken", text=f"{long} vÃ¤rme")
    rewrite(f"data/prepared/{split_of('broken')}.parquet", "broken", text=f"{long} värme")
    words = history_of("broken", PATHS).steps[2].words
    assert [(part.side, part.text) for part in words if part.side != "both"] == [
        ("before", "vÃ¤rme"),
        ("after", "värme"),
    ]
    assert sum(len(part.text) for part in words) < 1000


def test_a_file_that_is_not_parquet_is_named(staged_project: Path) -> None:
    Path("data/ingested/rows.parquet").write_text("id,text")
    with pytest.raises(InputError, match="cannot be read") as caught:
        history_of("roof-3", PATHS)
    assert caught.value.place == "data/ingested/rows.parquet"


def test_a_rejected_answer_is_shown_with_what_was_done_to_it_and_raw_text_has_no_answer(staged_project: Path) -> None:
    kept = f"prepared/{split_of('broken')}"
    for file, text in (("ingested/rows", "nÃ¤ra"), ("validated/rows", "nÃ¤ra"), (kept, "nära")):
        rewrite(f"data/{file}.parquet", "broken", text="x", label="y", rejected=text)
    history = history_of("broken", PATHS)
    assert history.text == "user: x\nassistant: y\nrejected: nära"
    assert "".join(part.text for part in history.steps[2].words if part.side != "before") == "rejected: nära"
    for file in ("ingested/rows", "validated/rows", kept):
        rewrite(f"data/{file}.parquet", "broken", text="x", label=None, rejected=None)
    assert history_of("broken", PATHS).text == "user: x"
