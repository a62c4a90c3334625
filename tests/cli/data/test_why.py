import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from staged_project import MAIL

from tunegate.tables import read_parquet, write_parquet
from tunegate.training.techniques.semisupervised import PSEUDO_LABELS


def test_a_story_reads_from_the_source_to_the_tokens(staged_project: Path, run: Callable[..., str]) -> None:
    told = run("tunegate", "data", "why", "broken", cwd=staged_project).split("\n")
    assert told[0].startswith("broken: kept: ")
    assert told[1] == "source   desks (licence: CC0-1.0)"
    assert "         user: [-vÃ¤rmepumpen-]{+värmepumpen+} [-lÃ¥ter-]{+låter+} i huset" in told
    stages = [line.split()[0] for line in told[5:] if line[:1].strip()]
    assert stages == ["ingest", "validate", "prepare", "tokenize"]


def test_a_story_for_programs_has_the_same_and_no_personal_data(staged_project: Path, run: Callable[..., str]) -> None:
    printed = run("tunegate", "data", "why", "mail", "--json", cwd=staged_project)
    story = json.loads(printed)
    assert (story["id"], story["reason"], story["steps"][2]["lines"]) == ("mail", None, ["masked: email"])
    assert MAIL not in printed


def test_an_unknown_row_is_an_error_with_a_hint(staged_project: Path, run: Callable[..., str]) -> None:
    said = run("tunegate", "data", "why", "brokn", cwd=staged_project, code=1)
    assert said.startswith("error: data/ingested: no row 'brokn'\nfix: the nearest ids are: broken, ")


def test_a_text_cannot_write_elsewhere_on_the_terminal(staged_project: Path, run: Callable[..., str]) -> None:
    path = staged_project / "data/raw/desks.csv"
    path.write_text(path.read_text().replace("the roof leaks above room 3,", "the roof \x1b[2J leaks 3,", 1))
    run("python", "-m", "tunegate.stages", "ingest", "params.yaml", "data/sources.yaml", "data/raw", "lock.txt",
        "data/ingested", cwd=staged_project)  # fmt: skip
    (staged_project / "data/validated").rename(staged_project / "data/old")
    said = run("tunegate", "data", "why", "roof-3", cwd=staged_project)
    assert "\x1b" not in said
    assert "the roof \\u001b[2J leaks 3" in said


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_neither_id_nor_source_nor_place_writes_to_the_terminal(
    staged_project: Path, run: Callable[..., str], options: tuple[str, ...]
) -> None:
    path = staged_project / "data/ingested/rows.parquet"
    table = read_parquet(path)
    evil = "a\x1b]0;pwned\x07\x9b\nb"
    rows = [row | dict.fromkeys(("id", "source", "place"), evil) for row in table.slice(0, 1).to_pylist()]
    write_parquet(path, pa.Table.from_pylist(rows, schema=table.schema))
    (staged_project / "data/validated").rename(staged_project / "data/old")
    said = run("tunegate", "data", "why", *options, "--", evil, cwd=staged_project)
    assert said.replace("\n", "").isprintable()
    assert said.count("a\\u001b]0;pwned\\u0007\\u009b\\nb") == (4 if options else 3)
    assert not options or json.loads(said)["id"] == evil
    nearest = run("tunegate", "data", "why", "--", "a\x1b", cwd=staged_project, code=1)
    assert nearest.replace("\n", "").isprintable()


def test_a_row_without_an_answer_tells_which_one_the_model_gave_it(
    staged_project: Path, run: Callable[..., str]
) -> None:
    names = [row["id"] for row in read_parquet(staged_project / "data/prepared/train.parquet").to_pylist()[:2]]
    for path in ("ingested/rows", "validated/rows", "prepared/train"):
        table = read_parquet(staged_project / f"data/{path}.parquet")
        rows = [row | ({"label": None} if row["id"] in names else {}) for row in table.to_pylist()]
        write_parquet(staged_project / f"data/{path}.parquet", pa.Table.from_pylist(rows, schema=table.schema))
    (staged_project / "models/adapter").mkdir(parents=True)
    found = [{"id": names[0], "answer": "roof", "confidence": 0.973}]
    write_parquet(
        staged_project / "models/adapter/pseudo_labels.parquet", pa.Table.from_pylist(found, schema=PSEUDO_LABELS)
    )
    used, left = (run("tunegate", "data", "why", name, cwd=staged_project) for name in names)
    assert "train    trained on with the model's own answer, confidence 0.97\n         roof\n" in used
    assert "train    not trained on: the model was not sure enough of its own answer\n" in left
