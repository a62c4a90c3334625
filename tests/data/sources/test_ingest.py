import datetime
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from tunegate.data.rows import rows_of
from tunegate.data.sources.ingest import ingest
from tunegate.errors import TunegateError
from tunegate.files import sha256_of, write_text
from tunegate.tables import read_parquet, write_parquet

Read = Callable[..., Any]
Refusal = Callable[..., TunegateError]
CSV = {"name": "mine", "path": "data/raw/mine.csv"}
ROOT = Path(__file__).resolve().parents[3]
JSONL = {"name": "chats", "path": "data/raw/chats.jsonl"}


def write_jsonl(path: Path, *records: dict[str, Any]) -> None:
    write_text(path, "".join(json.dumps(record) + "\n" for record in records))


def conversation(*turns: tuple[str, str]) -> list[dict[str, str]]:
    return [{"role": role, "content": content} for role, content in turns]


def test_a_csv_with_text_and_label_needs_only_name_and_path(raw: Path, read: Read) -> None:
    write_text(raw / "mine.csv", "id,text,label\n7,Does it leak?,roof\n")
    (row,) = read(CSV).rows
    assert (row.id, row.group, row.source, row.place) == ("7", "7", "mine", "data/raw/mine.csv:2")
    assert (row.text, row.label, row.messages, row.slices) == ("Does it leak?", "roof", None, {})


def test_prompt_and_completion_become_a_conversation(raw: Path, read: Read) -> None:
    write_text(raw / "mine.csv", "prompt,completion\nHello?,Hi.\n")
    assert read(CSV).rows[0].messages == tuple(conversation(("user", "Hello?"), ("assistant", "Hi.")))


def test_a_column_of_messages_is_taken_as_it_is(raw: Path, read: Read) -> None:
    turns = conversation(
        ("system", "Be brief."), ("user", "A?"), ("assistant", "B."), ("user", "C?"), ("assistant", "D.")
    )
    write_jsonl(raw / "chats.jsonl", {"messages": turns})
    (row,) = read(JSONL).rows
    assert row.messages == tuple(turns)
    assert (row.last_turn, row.answer) == ("C?", "D.")


def test_parquet_is_read_too(raw: Path, read: Read) -> None:
    write_parquet(raw / "t.parquet", pa.table({"text": ["a?", "b?"], "label": [1, 2]}))
    assert [row.label for row in read({"name": "t", "path": "data/raw/t.parquet"}).rows] == ["1", "2"]


def test_templates_map_other_columns(raw: Path, read: Read) -> None:
    write_jsonl(
        raw / "chats.jsonl",
        {"nr": 1, "q": "Why?", "a": "So.", "lang": "en"},
        {"nr": 2, "q": "?!", "a": "-", "lang": None},
    )
    turns = [
        {"role": "system", "content": "Answer."},
        {"role": "user", "content": "{q}"},
        {"role": "assistant", "content": "{a}"},
    ]
    mapped = {"id": "{nr}-en", "group": "{nr}", "messages": turns, "slices": {"language": "{lang}", "kind": "faq"}}
    first, second = read(JSONL | {"row": mapped}).rows
    assert (first.id, first.group, first.slices) == ("1-en", "1", {"language": "en", "kind": "faq"})
    assert first.messages == tuple(conversation(("system", "Answer."), ("user", "Why?"), ("assistant", "So.")))
    assert second.slices == {"kind": "faq"}


def test_slices_can_be_added_to_columns_that_need_no_mapping(raw: Path, read: Read) -> None:
    write_text(raw / "mine.csv", "text,label,lang\na?,b,en\n")
    (row,) = read(CSV | {"row": {"slices": {"language": "{lang}"}}}).rows
    assert (row.text, row.slices) == ("a?", {"language": "en"})


def test_without_ids_a_row_is_named_by_its_content_wherever_it_stands(raw: Path, read: Read) -> None:
    write_text(raw / "mine.csv", "text,label\na?,x\nb?,y\n")
    before = {row.text: (row.id, row.group) for row in read(CSV).rows}
    write_text(raw / "mine.csv", "label,text\nz,new?\ny,b?\nx,a?\n")
    after = {row.text: (row.id, row.group) for row in read(CSV).rows}
    assert before.items() <= after.items()


def test_equal_rows_without_ids_get_different_ids_and_one_group(raw: Path, read: Read) -> None:
    write_text(raw / "mine.csv", "text,label\na?,x\na?,x\na?,y\n")
    one, two, three = read(CSV).rows
    assert two.id == f"{one.id}-2"
    assert three.id not in (one.id, two.id)
    assert one.group == two.group == three.group


def test_a_pattern_reads_its_files_in_the_order_of_their_names(raw: Path, read: Read) -> None:
    write_text(raw / "b.csv", "text,label\nb?,x\n")
    write_text(raw / "a.csv", "text,label\na?,x\n")
    assert [row.text for row in read({"name": "all", "path": "data/raw/*.csv"}).rows] == ["a?", "b?"]


def test_the_limit_holds_for_each_source_and_is_in_the_ledger(raw: Path, read: Read) -> None:
    write_text(raw / "mine.csv", "text,label\na?,x\nb?,x\nc?,x\n")
    write_jsonl(raw / "chats.jsonl", {"text": "d?", "label": "x"})
    rows, ledger = read(CSV | {"license": "MIT"}, JSONL, limit=2)
    assert [row.text for row in rows] == ["a?", "b?", "d?"]
    assert (ledger["rows"], ledger["reasons"]) == ({"in": 4, "out": 3}, {"over_limit": 1})
    assert ledger["per_source"] == {
        "mine": {"in": 3, "out": 2, "reasons": {"over_limit": 1}},
        "chats": {"in": 1, "out": 1, "reasons": {}},
    }
    checksum = sha256_of(raw / "mine.csv")
    assert ledger["details"]["sources"]["mine"] == {"license": "MIT", "files": {"data/raw/mine.csv": checksum}}


def test_a_duplicate_id_is_refused_with_both_places(raw: Path, refusal: Refusal) -> None:
    write_text(raw / "mine.csv", "id,text,label\n1,a?,x\n2,b?,x\n1,c?,x\n")
    error = refusal(CSV)
    assert (error.place, error.problem) == ("data/raw/mine.csv:4", "duplicate id '1', first at data/raw/mine.csv:2")
    assert "{id}-mine" in error.remedy


def test_a_duplicate_id_in_another_source_is_refused_with_both_places(raw: Path, refusal: Refusal) -> None:
    write_text(raw / "mine.csv", "id,text,label\n1,a?,x\n")
    write_jsonl(raw / "chats.jsonl", {"id": 1, "text": "b?", "label": "x"})
    error = refusal(CSV, JSONL)
    assert (error.place, error.problem) == ("data/raw/chats.jsonl:1", "duplicate id '1', first at data/raw/mine.csv:2")


@pytest.mark.parametrize("label", ["", "  "])
def test_a_row_without_an_answer_is_refused(raw: Path, refusal: Refusal, label: str) -> None:
    write_text(raw / "mine.csv", f"text,label\na?,x\nb?,{label}\n")
    error = refusal(CSV)
    assert (error.place, error.problem) == ("data/raw/mine.csv:3", "empty label: the row has no answer")
    remedy = "complete this row, or delete it, or write `optional: true` for the label in data/sources.yaml: mine.row"
    assert error.remedy == remedy


def test_a_missing_column_is_named_with_the_nearest(raw: Path, refusal: Refusal) -> None:
    write_text(raw / "mine.csv", "question,desk\na?,x\n")
    error = refusal(CSV | {"row": {"text": "{questions}", "label": "{desk}"}})
    assert error.place == "data/raw/mine.csv:2"
    assert error.problem == "no column 'questions'; did you mean 'question'?"
    assert all(part in error.remedy for part in ("mine.row", "question, desk"))


def test_columns_that_say_nothing_are_listed(raw: Path, refusal: Refusal) -> None:
    write_text(raw / "mine.csv", "Text,Label\na?,x\n")
    error = refusal(CSV)
    assert error.problem.startswith("the columns Text, Label do not say")
    assert error.problem.endswith("did you mean 'Text'?")
    assert "data/sources.yaml: mine.row" in error.remedy


def test_a_column_that_holds_no_text_is_refused(raw: Path, refusal: Refusal) -> None:
    write_jsonl(raw / "chats.jsonl", {"text": ["a"], "label": "x"})
    error = refusal(JSONL)
    assert (error.place, error.problem) == (
        "data/raw/chats.jsonl:1",
        "column 'text' must hold a text or a number (got list)",
    )


@pytest.mark.parametrize(
    ("turns", "place", "problem"),
    [
        ([], "", "messages must be a list of role and content (got [])"),
        ("hello", "", "messages must be a list of role and content (got 'hello')"),
        (conversation(("user", "a?")), "", "the row has no answer"),
        (conversation(("user", "a?"), ("assistant", " ")), "", "the row has no answer"),
        (conversation(("assistant", "a")), "", "no message of the user"),
        (conversation(("usr", "a?"), ("assistant", "b")), ": messages[0]", "unknown role 'usr'; did you mean 'user'?"),
        ([{"from": "human", "value": "a"}], ": messages[0]", "no role and content"),
        ([{"role": "user", "content": 3}], ": messages[0]", "content must be a text (got int)"),
        ([{"role": "user", "content": "a", "tool_calls": [1]}], ": messages[0]", "unknown key 'tool_calls'"),
    ],
)
def test_a_conversation_that_is_not_whole_is_refused(
    raw: Path, refusal: Refusal, turns: Any, place: str, problem: str
) -> None:
    write_jsonl(raw / "chats.jsonl", {"messages": turns})
    error = refusal(JSONL)
    assert error.place == f"data/raw/chats.jsonl:1{place}"
    assert error.problem.startswith(problem)


def test_the_default_project_has_each_question_in_both_languages_in_one_group(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(ROOT)
    file = tmp_path / "rows.parquet"
    ingest(Path("data/sources.yaml"), Path("data/raw"), Path("requirements/pipeline.txt"), file, memory=2**28)
    rows = rows_of(read_parquet(file))
    assert len(rows) == 1006
    assert len({row.group for row in rows}) == 503
    assert len({row.label for row in rows}) == 39
    assert {(row.group, row.slices["language"]) for row in rows} == {
        (row.group, language) for row in rows for language in ("en", "sv")
    }


def test_a_snapshot_is_read_as_the_source_that_it_was_taken_of(raw: Path, read: Read) -> None:
    write_parquet(raw / "crm.parquet", pa.table({"nr": [7], "q": ["a?"], "desk": ["roof"]}))
    crm = {"name": "crm", "sql": {"url_env": "CRM_URL", "table": "tickets", "key": "nr"}}
    rows, ledger = read(crm | {"row": {"id": "{nr}", "text": "{q}", "label": "{desk}"}})
    assert [(row.id, row.source, row.place) for row in rows] == [("7", "crm", "data/raw/crm.parquet:1")]
    snapshot = sha256_of(raw / "crm.parquet")
    assert ledger["details"]["sources"]["crm"]["files"] == {"data/raw/crm.parquet": snapshot}


def test_a_snapshot_that_was_taken_empty_gives_no_rows(raw: Path, read: Read, refusal: Refusal) -> None:
    write_text(raw / "mine.csv", "text,label\na?,x\n")
    write_parquet(raw / "crm.parquet", pa.table({"text": pa.array([], pa.string())}))
    crm = {"name": "crm", "rest": {"url": "https://crm.example.org/tickets", "key": "nr"}}
    assert [row.source for row in read(CSV, crm).rows] == ["mine"]
    assert refusal({"name": "all", "path": "data/raw/crm.parquet"}).problem == "the file has no rows"


def test_a_file_gives_the_same_rows_however_it_is_written_down(raw: Path, read: Read) -> None:
    records = [{"id": f"r{n}", "text": f"{n}? {'x' * (n % 7)}", "label": f"d{n % 3}"} for n in range(20_000)]
    write_jsonl(raw / "a.jsonl", *records)
    write_text(raw / "a.csv", "id,text,label\n" + "".join(f"{r['id']},{r['text']},{r['label']}\n" for r in records))
    (raw / "a.json.gz").write_bytes(gzip.compress(json.dumps(records).encode()))
    write_parquet(raw / "a.parquet", pa.Table.from_pylist(records))
    contents = []
    for name in ("a.jsonl", "a.csv", "a.json.gz", "a.parquet"):
        rows = read({"name": "a", "path": f"data/raw/{name}"}).rows
        contents.append([(row.id, row.text, row.label) for row in rows])
    assert contents == [[(r["id"], r["text"], r["label"]) for r in records]] * 4


def test_equal_rows_are_counted_up_over_all_sources(raw: Path, read: Read) -> None:
    write_text(raw / "mine.csv", "text,label\n" + "a?,x\n" * 9_000)
    write_jsonl(raw / "chats.jsonl", {"text": "a?", "label": "x"})
    rows = read(CSV, JSONL).rows
    assert (rows[1].id, rows[-1].id) == (f"{rows[0].id}-2", f"{rows[0].id}-9001")


def test_a_column_of_another_type_in_the_next_file_is_refused(raw: Path, refusal: Refusal) -> None:
    write_parquet(raw / "a.parquet", pa.table({"id": [7], "text": ["a?"], "label": ["x"]}))
    write_parquet(raw / "b.parquet", pa.table({"id": [8.0], "text": ["b?"], "label": ["x"]}))
    error = refusal({"name": "all", "path": "data/raw/*.parquet"})
    assert error.place == "data/raw/b.parquet:1"
    assert all(part in error.problem for part in ("'id'", "8.0", "data/raw/a.parquet:1"))


def test_a_file_without_the_columns_of_its_siblings_is_refused(raw: Path, refusal: Refusal) -> None:
    write_parquet(raw / "a.parquet", pa.table({"q": ["a?"], "label": ["x"]}))
    write_parquet(raw / "b.parquet", pa.table({"question": ["b?"], "label": ["x"]}))
    error = refusal({"name": "all", "path": "data/raw/*.parquet", "row": {"text": "{q}", "label": "{label}"}})
    assert (error.place, error.problem) == ("data/raw/b.parquet:1", "no column 'q'")


def test_a_time_without_a_zone_is_refused_and_one_with_a_zone_is_told_in_utc(
    raw: Path, read: Read, refusal: Refusal
) -> None:
    source = {"name": "t", "path": "data/raw/t.parquet", "row": {"slices": {"day": "{at}"}}}
    at = datetime.datetime(2026, 1, 2, 0, 30)
    here = pa.array([at.replace(tzinfo=ZoneInfo("Europe/Stockholm"))], pa.timestamp("us", "Europe/Stockholm"))
    write_parquet(raw / "t.parquet", pa.table({"text": ["a?"], "label": ["x"], "at": here}))
    assert read(source).rows[0].slices == {"day": "2026-01-01T23:30:00Z"}
    write_parquet(raw / "t.parquet", pa.table({"text": ["a?"], "label": ["x"], "at": [at]}))
    error = refusal(source)
    assert error.place == "data/raw/t.parquet:1"
    assert all(part in error.problem for part in ("'at'", "time zone", "2026-01-02 00:30:00"))
    assert "with its zone" in error.remedy


def test_rows_beyond_the_limit_are_counted_but_not_looked_at(raw: Path, read: Read) -> None:
    write_text(raw / "mine.csv", "text,label\na?,x\nb?,\n")
    rows, ledger = read(CSV, limit=1)
    assert (len(rows), ledger["rows"]) == (1, {"in": 2, "out": 1})


def test_nothing_of_the_work_is_left_beside_the_rows(raw: Path, read: Read) -> None:
    write_text(raw / "mine.csv", "text,label\na?,x\na?,x\n")
    read(CSV)
    assert sorted(path.name for path in Path().iterdir()) == ["data", "lock.txt", "rows.parquet"]


TALK = [{"role": "user", "content": "Hello?"}, {"role": "assistant", "content": "Yes?"}]


@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"text": "a\0b", "label": "x"}, "a NUL byte in text"),
        ({"messages": [*TALK[:1], {"role": "assistant", "content": "\0"}]}, "a NUL byte in messages"),
        ({"text": "a" * 2_500_000, "label": "b" * 2_500_000}, "a row of "),
    ],
)
def test_a_nul_byte_or_a_row_beyond_the_limit_is_refused_in_every_format(
    raw: Path, refusal: Callable[..., TunegateError], suffix: str, row: dict[str, Any], problem: str
) -> None:
    rows = [{"messages": TALK} if "messages" in row else {"text": "a", "label": "x"}, row]
    if suffix == "parquet":
        write_parquet(raw / "a.parquet", pa.Table.from_pylist(rows))
    else:
        write_text(raw / "a.jsonl", "".join(json.dumps(one) + "\n" for one in rows))
    error = refusal({"name": "mine", "path": f"data/raw/a.{suffix}"})
    assert error.place == f"data/raw/a.{suffix}:2"
    assert error.problem.startswith(problem) or "a line of more than" in error.problem


TEXT = {"name": "manual", "path": "data/raw/*.txt"}


def test_a_text_file_is_one_row_of_raw_text_and_needs_no_mapping(raw: Path, read: Read) -> None:
    write_text(raw / "b.txt", "Second.\n")
    write_text(raw / "a.txt", "One.\n\nTwo.\n")
    rows = read(TEXT).rows
    assert [(row.text, row.label, row.place) for row in rows] == [
        ("One.\n\nTwo.", None, "data/raw/a.txt:1"),
        ("Second.", None, "data/raw/b.txt:1"),
    ]
    assert not any(row.is_answered for row in rows)


def test_texts_that_are_equal_have_ids_of_their_own_and_one_group(raw: Path, read: Read) -> None:
    write_text(raw / "a.txt", "Same.\n\nSame.\n")
    one, other = read(TEXT | {"row_per": "paragraph"}).rows
    assert (other.id, other.group) == (f"{one.id}-2", one.group)


def test_an_id_does_not_change_because_rows_may_have_more_columns_now(raw: Path, read: Read) -> None:
    write_text(raw / "mine.csv", "text,label\nDoes it leak?,roof\n")
    assert read(CSV).rows[0].id == "c65cbb8a5792b555"


def test_a_limit_counts_paragraphs(raw: Path, read: Read) -> None:
    write_text(raw / "a.txt", "One.\n\nTwo.\n\nThree.\n")
    result = read(TEXT | {"row_per": "paragraph"}, limit=2)
    assert [row.text for row in result.rows] == ["One.", "Two."]
    assert result.ledger["reasons"] == {"over_limit": 1}
