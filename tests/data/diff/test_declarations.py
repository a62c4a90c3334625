from pathlib import Path
from typing import Any

from tunegate.data.diff.declarations import expectation_changes, reason_counts, source_changes, token_counts
from tunegate.data.diff.result import ExpectationChange, SourceChange, Tokens
from tunegate.data.diff.sides import INGESTED, NOTHING, PREPARED, TOKENS, Side
from tunegate.files import write_json


def side(folder: Path, ledgers: dict[str, dict[str, Any]], **values: Any) -> Side:
    for output, ledger in ledgers.items():
        write_json(folder / output / "ledger.json", ledger)
    folders = {output: folder / output for output in ledgers}
    return Side(folder.name, folders, {}, values.get("licenses", {}), values.get("suites", {}))


def test_a_source_is_added_removed_relicensed_or_the_same_and_has_its_rows(tmp_path: Path) -> None:
    rows = {"per_source": {"kept": {"in": 9, "out": 7}, "gone": {"in": 2, "out": 2}}}
    before = side(tmp_path / "a", {INGESTED: rows}, licenses={"kept": "MIT", "gone": "MIT", "moved": "MIT"})
    after = side(tmp_path / "b", {}, licenses={"kept": "MIT", "moved": "GPL-3.0", "new": None})
    assert source_changes(before, after) == [
        SourceChange(name=name, before=rows, after=None, license_before=old, license_after=new, change=change)
        for name, rows, old, new, change in (
            ("gone", 2, "MIT", None, "removed"),
            ("kept", 7, "MIT", "MIT", "same"),
            ("moved", None, "MIT", "GPL-3.0", "license changed"),
            ("new", None, None, None, "added"),
        )
    ]


def test_only_expectations_that_differ_are_listed_suite_by_suite(tmp_path: Path) -> None:
    before = side(tmp_path, {}, suites={"b": {"same": "1", "gone": "2"}, "old": {"x": "3"}})
    after = side(tmp_path, {}, suites={"a": {"first": "4"}, "b": {"same": "1", "new": "5"}})
    assert expectation_changes(before, after) == [
        ExpectationChange(suite=suite, expectation=name, before=old, after=new)
        for suite, name, old, new in (
            ("a", "first", None, "4"), ("b", "new", None, "5"), ("b", "gone", "2", None), ("old", "x", "3", None),
        )
    ]  # fmt: skip
    assert expectation_changes(after, after) == []


def test_reasons_are_in_the_order_of_the_stages_and_missing_ones_are_0(tmp_path: Path) -> None:
    before = side(tmp_path / "a", {TOKENS: {"stage": "tokenize", "reasons": {"over_length": 3}}})
    after = side(tmp_path / "b", {PREPARED: {"stage": "prepare", "reasons": {"secret": 1, "duplicate": 2}}})
    assert [(c.stage, c.reason, c.before, c.after) for c in reason_counts(before, after)] == [
        ("prepare", "duplicate", 0, 2), ("prepare", "secret", 0, 1), ("tokenize", "over_length", 3, 0),
    ]  # fmt: skip
    assert reason_counts(NOTHING, NOTHING) == []


def test_tokens_are_those_of_the_splits_that_a_side_counted(tmp_path: Path) -> None:
    before = side(tmp_path / "a", {TOKENS: {"notes": {"train_tokens_out": 100}}})
    after = side(tmp_path / "b", {TOKENS: {"notes": {"train_tokens_out": 120.0, "test_tokens_out": 5}}})
    assert token_counts(before, after) == [Tokens(split="train", before=100, after=120)]
    assert token_counts(NOTHING, after) == [Tokens(split="train", before=None, after=120)]
