import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tunegate.data.rows import PLACED_ROW, Row, table_of
from tunegate.errors import InputError, RefusedError
from tunegate.files import read_json, sha256_of_tree, write_json
from tunegate.stages.validate import main
from tunegate.tables import read_parquet, write_parquet

Stage = Callable[..., tuple[int, str]]
ARGUMENTS = ("params.yaml", "data/ingested", "data/expectations", "models/templates", "data/validated")


def give(*texts: str) -> None:
    rows = [
        Row(id=f"r{n}", group=f"g{n}", source="s", place=f"data/raw/f.csv:{n + 2}", text=text, label=f"l{n % 2}")
        for n, text in enumerate(texts)
    ]
    write_parquet(Path("data/ingested/rows.parquet"), table_of(rows, PLACED_ROW))


def expect(kind: str, severity: str, **kwargs: object) -> None:
    expectation = {"type": kind, "kwargs": kwargs, "severity": severity}
    write_json(Path("data/expectations/questions.json"), {"name": "questions", "expectations": [expectation]})


def written() -> list[str]:
    return sorted(path.name for path in Path("data").iterdir())


def test_rows_quarantine_result_and_ledger_are_written_the_same_every_time(project: Path) -> None:
    give(*[f"What of {n}?" for n in range(30)], "??")
    main(*ARGUMENTS)
    output = Path("data/validated")
    assert read_parquet(output / "rows.parquet").num_rows == 30
    (quarantined,) = read_parquet(output / "quarantine.parquet").to_pylist()
    assert (quarantined["id"], quarantined["place"]) == ("r30", "data/raw/f.csv:32")
    assert quarantined["reasons"] == ["expect_column_values_to_match_regex(text)"]
    assert read_json(output / "result.json")["quarantined"] == 1
    assert read_json(output / "ledger.json")["rows"] == {"in": 31, "out": 30}
    before = sha256_of_tree(output)
    main(*ARGUMENTS)
    assert sha256_of_tree(output) == before


def test_a_critical_failure_is_a_refusal_that_names_the_rows_and_writes_nothing(project: Path, stage: Stage) -> None:
    give("What of this?", "Why?")
    expect("expect_column_value_lengths_to_be_between", "critical", column="text", min_value=6)
    code, said = stage("validate", *ARGUMENTS)
    assert code == 3
    assert said.startswith(
        "error: suite questions: expect_column_value_lengths_to_be_between(text): 1 of 2 rows fail: "
        "r1 (data/raw/f.csv:3)\nfix: mend the rows at their source"
    )
    assert "validated" not in written()


def test_too_large_a_share_in_quarantine_is_a_refusal(project: Path) -> None:
    give("What of this?", "Why?")
    expect("expect_column_value_lengths_to_be_between", "warning", column="text", min_value=6)
    with pytest.raises(RefusedError, match=r"1 of 2 rows \(50.0%\) would go to quarantine"):
        main(*ARGUMENTS)
    assert written() == ["expectations", "ingested", "raw", "sources.yaml"]


def test_a_suite_that_names_a_missing_column_is_an_error_and_writes_nothing(project: Path) -> None:
    give("What of this?", "Why?")
    expect("expect_column_values_to_not_be_null", "info", column="lable")
    with pytest.raises(InputError) as caught:
        main(*ARGUMENTS)
    assert caught.value.place == "data/expectations/questions.json: expectations[0].kwargs"
    assert "no column 'lable'; did you mean 'label'?" in caught.value.problem
    assert caught.value.remedy.startswith("the columns are id, group")
    assert written() == ["expectations", "ingested", "raw", "sources.yaml"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_stage_and_leaves_nothing(
    project: Path, interrupted: Stage, number: signal.Signals, code: int
) -> None:
    give("What of this?", "Why?")
    assert interrupted(number, "validate", *ARGUMENTS)[0] == code
    assert written() == ["expectations", "ingested", "raw", "sources.yaml"]
