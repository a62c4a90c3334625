import json
from collections.abc import Callable
from pathlib import Path

from way import MAIL


def test_a_story_reads_from_the_source_to_the_tokens(way: Path, run: Callable[..., str]) -> None:
    told = run("tunegate", "data", "why", "broken", cwd=way).split("\n")
    assert told[0].startswith("broken: kept: ")
    assert told[1] == "source   desks (licence: CC0-1.0)"
    assert "         user: [-vÃ¤rmepumpen-]{+värmepumpen+} [-lÃ¥ter-]{+låter+} i huset" in told
    stages = [line.split()[0] for line in told[5:] if line[:1].strip()]
    assert stages == ["ingest", "validate", "prepare", "tokenize"]


def test_a_story_for_programs_has_the_same_and_no_personal_data(way: Path, run: Callable[..., str]) -> None:
    printed = run("tunegate", "data", "why", "mail", "--json", cwd=way)
    story = json.loads(printed)
    assert (story["id"], story["reason"], story["steps"][2]["lines"]) == ("mail", None, ["masked: email"])
    assert MAIL not in printed


def test_an_unknown_row_is_an_error_with_a_hint(way: Path, run: Callable[..., str]) -> None:
    said = run("tunegate", "data", "why", "brokn", cwd=way, code=1)
    assert said.startswith("error: data/ingested: no row 'brokn'\nfix: the nearest ids are: broken, ")


def test_a_text_cannot_write_elsewhere_on_the_terminal(way: Path, run: Callable[..., str]) -> None:
    path = way / "data/raw/desks.csv"
    path.write_text(path.read_text().replace("the roof leaks above room 3,", "the roof \x1b[2J leaks 3,", 1))
    run("python", "-m", "tunegate.stages", "ingest", "params.yaml", "data/sources.yaml", "data/raw", "lock.txt",
        "data/ingested", cwd=way)  # fmt: skip
    (way / "data/validated").rename(way / "data/old")
    said = run("tunegate", "data", "why", "roof-3", cwd=way)
    assert "\x1b" not in said
    assert "the roof \N{REPLACEMENT CHARACTER}[2J leaks 3" in said
