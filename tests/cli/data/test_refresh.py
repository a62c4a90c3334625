import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tunegate.data.sources.declaration import load_sources
from tunegate.files import write_text

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs/refresh.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"(?ms)^```\w+ (\S+)\n(.*?)^```$", PAGE))
Run = Callable[..., str]


@pytest.fixture
def project(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A DVC project with the database of the page."""
    run("git", "init", "-q", "-b", "main", cwd=tmp_path)
    run("dvc", "init", "-q", cwd=tmp_path)
    write_text(tmp_path / "data/sources.yaml", BLOCKS["sql"])
    monkeypatch.setenv("HELPDESK_URL", "sqlite:///help.db")
    with sqlite3.connect(tmp_path / "help.db") as database:
        database.execute("CREATE TABLE tickets (id INTEGER PRIMARY KEY, question TEXT, desk TEXT, changed TEXT)")
        rows = [(n, f"Question {n}", "roof", f"2026-01-0{n}") for n in range(1, 4)]
        database.executemany("INSERT INTO tickets VALUES (?, ?, ?, ?)", rows)
    database.close()
    return tmp_path


def change(project: Path) -> None:
    with sqlite3.connect(project / "help.db") as database:
        database.execute("UPDATE tickets SET desk = 'heat', changed = '2026-01-04' WHERE id = 1")
        database.execute("INSERT INTO tickets VALUES (4, 'Question 4', 'roof', '2026-01-05')")
    database.close()


def plain(text: str) -> str:
    return re.sub(r"\d+ bytes", "N bytes", text)


def test_a_refresh_says_what_a_commit_would_change_as_the_page_shows(project: Path, run: Run) -> None:
    assert plain(run("tunegate", "data", "refresh", cwd=project)) == plain(BLOCKS["first"])
    assert run("tunegate", "data", "refresh", "tickets", cwd=project) == BLOCKS["second"]
    change(project)
    rehearsed = run("tunegate", "data", "refresh", "--dry-run", cwd=project)
    assert rehearsed.splitlines()[-1] == "nothing was written: --dry-run"
    output = run("tunegate", "data", "refresh", cwd=project)
    assert plain(output) == plain(BLOCKS["third"])
    run(*output.splitlines()[-1].removeprefix("to commit it: ").split(), cwd=project)
    assert run("git", "status", "--porcelain", "data/raw", cwd=project).count("A  ") == 3


def test_a_program_gets_json(project: Path, run: Run) -> None:
    outcomes = json.loads(run("tunegate", "data", "refresh", "--json", cwd=project))[0]
    assert (outcomes["source"], outcomes["changed"], outcomes["changes"]["added"], outcomes["received"]) == (
        "tickets",
        True,
        3,
        3,
    )
    assert outcomes["git_add"] == [
        "data/raw/tickets.snapshot.json",
        "data/raw/tickets.parquet.dvc",
        "data/raw/.gitignore",
    ]


def test_a_key_cannot_write_to_the_terminal_or_the_log(project: Path, run: Run) -> None:
    with sqlite3.connect(project / "help.db") as database:
        database.execute("DROP TABLE tickets")
        database.execute("CREATE TABLE tickets (id TEXT, question TEXT, desk TEXT, changed TEXT)")
        key = "\x1b]0;owned\x07\n::warning::hello\r\u2028\x9b2J å"
        database.execute("INSERT INTO tickets VALUES (?, 'Q', 'roof', '1')", [key])
    database.close()
    output = run("tunegate", "data", "refresh", "--dry-run", cwd=project)
    assert r"  added: \u001b]0;owned\u0007\n::warning::hello\r\u2028\u009b2J å" in output.splitlines()
    output = run("tunegate", "data", "refresh", "--json", cwd=project)
    assert (json.loads(output)[0]["changes"]["examples"]["added"], "\x1b" in output, "\x9b" in output) == (
        [key],
        False,
        False,
    )


def test_a_program_hears_of_the_sources_before_the_one_that_fails(project: Path) -> None:
    text = BLOCKS["sql"] + BLOCKS["sql"].partition("\n")[2].replace("tickets", "calls")
    write_text(project / "data/sources.yaml", text)
    command = [sys.executable, "-m", "tunegate.cli", "data", "refresh", "--json"]
    process = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert (process.returncode, "no such table: calls" in process.stderr) == (1, True)
    assert [outcomes["source"] for outcomes in json.loads(process.stdout)] == ["tickets"]


@pytest.mark.parametrize("name", ["sql", "rest", "object"])
def test_each_declaration_of_the_page_is_one(name: str, tmp_path: Path) -> None:
    write_text(tmp_path / "sources.yaml", BLOCKS[name])
    assert load_sources(tmp_path / "sources.yaml")[0].external is not None


def test_an_unknown_source_gets_the_nearest_name_and_files_are_not_outside(project: Path, run: Run) -> None:
    said = run("tunegate", "data", "refresh", "ticket", cwd=project, code=2)
    assert "no external source is named 'ticket'; did you mean 'tickets'?" in said
    write_text(project / "data/sources.yaml", "sources:\n  - {name: desks, path: data/raw/desks.csv}\n")
    assert "no external source is declared" in run("tunegate", "data", "refresh", cwd=project, code=2)


def test_without_dvc_or_the_secret_nothing_is_asked(project: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HELPDESK_URL")
    output = run("tunegate", "data", "refresh", cwd=project, code=1)
    assert "data/sources.yaml: tickets.sql: the environment variable HELPDESK_URL is not set" in output
    run("rm", "-r", ".dvc", cwd=project)
    assert "not a DVC project" in run("tunegate", "data", "refresh", cwd=project, code=1)


def test_the_help_of_refresh_shows_an_example(run: Run, tmp_path: Path) -> None:
    assert "Example: tunegate data refresh tickets" in run("tunegate", "data", "refresh", "--help", cwd=tmp_path)
