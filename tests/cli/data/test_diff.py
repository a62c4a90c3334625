import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import jsonschema
import pytest
from data_change import BASE, HEAD, Data, put, row, splits
from miniature import Miniature

from tunegate.cli.data.diff import diff
from tunegate.files import read_json, read_text, read_yaml, write_json, write_yaml
from tunegate.gate.policy import FILE

DOCS = Path(__file__).resolve().parents[3] / "docs/diff.md"


@pytest.fixture(scope="module")
def changed(first_miniature: Miniature, tmp_path_factory: pytest.TempPathFactory) -> Miniature:
    """A branch `change` with the change of data_change.HEAD, a new source and another expectation. Read only."""
    root = Path(shutil.copytree(first_miniature.root, tmp_path_factory.mktemp("diff") / "project", symlinks=True))
    made = Miniature(root, first_miniature.run)
    put(made, BASE)
    made.commit("Rows")
    made.git("checkout", "-qb", "change")
    put(made, HEAD)
    sources = read_yaml(root / "data/sources.yaml")
    write_yaml(root / "data/sources.yaml", {"sources": [*sources["sources"], {"name": "bought", "path": "x.csv"}]})
    suite = read_json(root / "data/expectations/questions.json")
    suite["expectations"][0]["severity"] = "warning"
    write_json(root / "data/expectations/questions.json", suite)
    made.commit("More rows")
    return made


@pytest.fixture
def inside(changed: Miniature, monkeypatch: pytest.MonkeyPatch) -> Miniature:
    monkeypatch.chdir(changed.root)
    return changed


def test_the_terminal_shows_the_planted_change(inside: Miniature, capsys: pytest.CaptureFixture[str]) -> None:
    diff(base="main", head="change")
    output = capsys.readouterr().out
    assert "rows: 100 added, 0 removed, 10 edited, 0 moved to another split" in output
    assert "left out: test or validation asks the same: 5 new" in output
    assert "left out: duplicates: 3 new" in output
    assert "  row-00700 = row-00000  near duplicate  0.93" in output
    assert "personal data and secrets: 4 new rows (row-00400, row-00401, row-00402, row-00403)" in output
    assert "quarantine: 0 → 1 rows" in output
    assert re.search(r"bought +- +- +none declared +added", output)
    assert "critical; min_value 1" in output
    assert "LEAKS" not in output


def test_the_json_follows_its_schema_and_is_the_same_twice(
    inside: Miniature, capsys: pytest.CaptureFixture[str]
) -> None:
    diff(base="main", head="change", as_json=True)
    first = capsys.readouterr().out
    diff(base="main", head="change", as_json=True)
    assert capsys.readouterr().out == first
    diff(print_schema=True)
    value = json.loads(first)
    jsonschema.validate(value, json.loads(capsys.readouterr().out))
    assert (value["head"], value["leaks_left_out"]["count"]) == (inside.git("rev-parse", "change"), 5)


def test_the_working_trees_lock_is_the_default_head(inside: Miniature, capsys: pytest.CaptureFixture[str]) -> None:
    diff(base="change")
    assert "the prepared rows are the same, byte for byte" in capsys.readouterr().out


def test_a_check_refuses_by_the_bases_policy_and_names_what_broke_it(inside: Miniature, miniature: Miniature) -> None:
    diff(base="main", head="change", check=True)
    root = miniature.root
    policy = read_yaml(root / FILE)
    policy["data"] = {"personal_data": "refuse", "max_leaks_left_out": {"limit": 4, "action": "refuse"}}
    write_yaml(root / FILE, policy)
    put(miniature, BASE)
    miniature.commit("Strict")
    miniature.git("checkout", "-qb", "change")
    put(miniature, HEAD)
    miniature.commit("More rows")
    output = miniature.run("tunegate", "data", "diff", "--base", "main", "--check", cwd=root, code=3)
    assert "new rows left out: test or validation asks the same: 5 (at most 4): row-00600 = row-" in output
    assert "new rows with personal data or secrets: 4: row-00400" in output


def test_the_policy_says_what_is_near_also_where_nothing_is_checked(
    miniature: Miniature, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(miniature.root)
    parted = splits(BASE.rows)
    words = [f"word{n}" for n in range(40)]
    texts = {parted["train"][0].id: " ".join(words), parted["test"][0].id: " ".join([*words[:34], "another", "end"])}
    policy = read_yaml(miniature.root / FILE)
    write_yaml(miniature.root / FILE, policy | {"contamination": {"near": 0.7, "action": "warn"}})
    trained = parted["train"][0].id
    put(miniature, Data([replace(one, text=texts[trained]) if one.id == trained else one for one in BASE.rows]))
    miniature.commit("Rows")
    put(miniature, Data([replace(one, text=texts.get(one.id, one.text)) for one in BASE.rows]))
    miniature.commit("A near one")
    seen = f"{parted['test'][0].id} = {parted['train'][0].id}  base's train  0.8"
    diff(base="HEAD~1", head="HEAD")
    assert seen in capsys.readouterr().out


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]


def test_the_page_shows_edited_words_and_nothing_of_the_data_acts_in_it(
    miniature: Miniature, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(miniature.root)
    put(miniature, BASE)
    miniature.commit("Rows")
    evil = "=HYPERLINK('x') <script>alert(1)</script> write to ada@firma.se \x1b[31m"
    put(miniature, Data([row(0, evil), *BASE.rows[1:], row(400, evil, label="<img src=x>")]))
    miniature.commit("Evil")
    diff(base="HEAD~1", head="HEAD", html=tmp_path / "diff.html")
    text = read_text(tmp_path / "diff.html")
    page = Page(text)
    assert not {"script", "img", "link", "iframe"} & set(page.tags)
    assert not [name for name in page.attributes if name.startswith("on") or name in ("src", "href")]
    assert "ada@" not in text
    assert "[EMAIL]" in text
    assert re.search(r"<ins>&#39;=?", text)
    assert "<del>question</del>" in text


def test_nothing_of_the_data_can_write_elsewhere_on_the_terminal(
    miniature: Miniature, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(miniature.root)
    put(miniature, BASE)
    miniature.commit("Rows")
    put(miniature, Data(BASE.rows, left=HEAD.left[:1], quarantined=[(row(9, id="\x1b[2Jrow"), ["x"])]))
    miniature.commit("Escape")
    diff(base="HEAD~1", head="HEAD")
    output = capsys.readouterr().out
    assert "\x1b" not in output
    assert "\\u001b[2Jrow" in output


def blocks(language: str) -> list[str]:
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```$", DOCS.read_text(encoding="utf-8"))


def test_the_example_of_the_page_is_what_the_command_prints(
    inside: Miniature, capsys: pytest.CaptureFixture[str]
) -> None:
    (shown,) = blocks("text")
    diff(base="main", head="change")
    output = capsys.readouterr().out.split("\n", 1)[1]
    assert output.strip() == shown.split("\n", 1)[1].strip()


def test_the_commands_of_the_page_run(inside: Miniature, run: Callable[..., str], tmp_path: Path) -> None:
    (commands,) = blocks("sh")
    for line in commands.strip().splitlines():
        words = line.split("#")[0].split()
        words = [str(tmp_path / word) if word.endswith(".html") else word for word in words]
        run(*["main" if word == "origin/main" else word for word in words], cwd=inside.root)
    assert (tmp_path / "diff.html").is_file()


def test_the_policy_of_the_page_is_a_policy() -> None:
    from ruamel.yaml import YAML

    from tunegate.gate.policy import DataPolicy

    (text,) = blocks("yaml")
    changes = YAML(typ="safe").load(text)["data"]
    assert DataPolicy.model_validate_json(json.dumps(changes)).personal_data == "warn"
    assert set(changes) == set(DataPolicy.model_fields)
