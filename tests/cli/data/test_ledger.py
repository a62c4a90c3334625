import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tunegate.data.ledger.stage_ledger import make_ledger
from tunegate.files import write_json

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs/ledger.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"(?ms)^```console\n\$ ([^\n]+)\n(.*?)^```$", PAGE))


def test_the_table_has_every_source_and_reason_and_closes(staged_project: Path, run: Callable[..., str]) -> None:
    lines = run("tunegate", "data", "ledger", cwd=staged_project).strip().split("\n")
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == [
        "source",
        "desks",
        "letters",
        "all",
        "the",
    ]
    assert "- ingest: over_limit" in lines[2]
    assert lines[2].endswith("not read")
    assert lines[-1].startswith("the sums balance: 86 rows in = ")


@pytest.mark.parametrize(("by", "first"), [("source", "desks"), ("stage", "ingest"), ("reason", "ingest")])
def test_the_table_can_be_summed_up(staged_project: Path, run: Callable[..., str], by: str, first: str) -> None:
    lines = run("tunegate", "data", "ledger", "--by", by, cwd=staged_project).split("\n")
    assert (lines[0].split()[0], lines[1].split()[0]) == ("stage" if by == "reason" else by, first)


def test_programs_get_the_counts_that_the_report_has(staged_project: Path, run: Callable[..., str]) -> None:
    told = json.loads(run("tunegate", "data", "ledger", "--json", cwd=staged_project))
    assert told["rows"]["in"] == 86 == sum(outcome["rows"] for outcome in told["outcomes"])
    assert [stage["stage"] for stage in told["stages"]] == ["ingest", "validate", "prepare", "tokenize"]


def test_what_training_gave_an_answer_of_its_own_is_counted(staged_project: Path, run: Callable[..., str]) -> None:
    counts = {"labelled": 20, "unlabelled": 9, "pseudo_labelled": 6}
    dropped = {"desks": {"below_confidence": 3}}
    found = make_ledger("train", sources_in={"desks": 29}, sources_out={"desks": 26}, dropped=dropped, notes=counts)
    write_json(staged_project / "models/adapter/ledger.json", found)
    last = run("tunegate", "data", "ledger", cwd=staged_project).strip().split("\n")[-1]
    told = "train: 29 rows in = 26 trained on + 3 not (3 below_confidence); 6 with an answer of the model's own"
    assert last == told


def test_a_stage_that_has_not_run_is_named(staged_project: Path, run: Callable[..., str]) -> None:
    (staged_project / "data/tokens/ledger.json").unlink()
    said = run("tunegate", "data", "ledger", cwd=staged_project, code=1)
    assert said.startswith("error: data/tokens/ledger.json: no such ledger\nfix: run `dvc repro tokenize`")


def test_stages_of_different_runs_are_refused(staged_project: Path, run: Callable[..., str]) -> None:
    path = staged_project / "data/prepared/ledger.json"
    ledger = json.loads(path.read_text())
    ledger["reasons"]["else"] = ledger["reasons"].pop("duplicate")
    ledger["per_source"]["desks"]["reasons"]["else"] = ledger["per_source"]["desks"]["reasons"].pop("duplicate")
    path.write_text(json.dumps(ledger))
    said = run("tunegate", "data", "ledger", cwd=staged_project, code=1)
    assert "0 rows of desks are 'duplicate', but the outcomes in data/tokens have 1" in said
    assert "different runs" in said


@pytest.mark.parametrize("options", [(), ("--by", "source"), ("--json",)])
def test_the_name_of_a_source_does_not_write_to_the_terminal(
    staged_project: Path, run: Callable[..., str], options: tuple[str, ...]
) -> None:
    for path in staged_project.glob("data/*/ledger.json"):
        path.write_text(path.read_text().replace("letters", "let\\u001b]0;pwned\\u0007\\u009bters"))
    said = run("tunegate", "data", "ledger", *options, cwd=staged_project)
    assert said.replace("\n", "").isprintable()
    assert "let\\u001b]0;pwned\\u0007\\u009bters" in said


@pytest.mark.parametrize("command", EXAMPLES)
def test_an_example_of_the_page_prints_what_is_shown(staged_project: Path, command: str) -> None:
    done = subprocess.run(command.split(), cwd=staged_project, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout + done.stderr == EXAMPLES[command]


def test_the_page_explains_every_reason_that_the_code_gives() -> None:
    words = "over_limit|empty_after_repair|too_(?:short|long)|repetitive|secret|personal_data|(?:near_)?duplicate|cut"
    given = set()
    for path in [*(ROOT / "src/tunegate/data").rglob("*.py"), *(ROOT / "src/tunegate/models").rglob("*.py")]:
        given |= set(
            re.findall(rf"[\"'`]({words}|over_\w+|question_\w+_(?:test|valid)|not_in_\w+)[\"'`]", path.read_text())
        )
    assert {"over_length", "over_cap", "near_duplicate", "not_in_frozen_test"} <= given
    table = PAGE.split("## Reasons")[1].split("## ")[0]
    missing = [reason for reason in sorted(given) if f"`{reason}`" not in table]
    assert missing == []
    assert len(EXAMPLES) == 6
