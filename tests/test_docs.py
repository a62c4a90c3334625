"""The documents say what is so: their commands run, their YAML is valid, their links lead somewhere."""

import functools
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tunegate.cli.init import template
from tunegate.data.sources.declaration import Sources
from tunegate.files import read_text, read_yaml
from tunegate.models.catalogue import Catalogue
from tunegate.params import Closed, parse

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
README = read_text(ROOT / "README.md")
MODELS: dict[str, type[Closed]] = {"data/sources.yaml": Sources, "models/catalog.yaml": Catalogue}


def blocks(text: str, language: str) -> list[str]:
    # Every block is matched, of whatever language, or the end of one would be taken for the start of the next.
    return [body for name, body in re.findall(r"(?ms)^```(\w*)\n(.*?)^```$", text) if name == language]


def test_there_are_examples_to_check() -> None:
    assert len(blocks(README, "yaml")) >= 2
    assert blocks(README, "sh")


@pytest.mark.parametrize("text", blocks(README, "yaml"), ids=lambda text: text.splitlines()[0])
def test_an_example_of_a_file_is_valid(text: str, tmp_path: Path) -> None:
    name = text.splitlines()[0].removeprefix("# ")
    (tmp_path / "example.yaml").write_text(text)
    parse(MODELS[name], read_yaml(tmp_path / "example.yaml"), place=name, remedy="mend the README")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_command_that_is_shown_runs(page: Path, tmp_path: Path) -> None:
    text = read_text(page)
    lines = [line for block in blocks(text, "sh") for line in block.splitlines()]
    shown = {line.split("  #")[0].strip() for line in lines} | set(re.findall(r"`((?:make|tunegate) [^`<]+)`", text))
    for line in sorted(shown):
        words = shlex.split(line)
        if words[0] == "make":
            subprocess.run(["make", "--dry-run", *words[1:]], cwd=ROOT, check=True, capture_output=True)
        elif words[0] == "tunegate":
            if words[1] == "init" and len(words) > 2:
                say(*words[1:], folder=tmp_path)
            else:
                say_help(tuple(word for word in words[1:] if not word.startswith("-")))


@functools.cache
def say_help(verbs: tuple[str, ...]) -> None:
    """Ask for the help of a command that any page shows."""
    say(*verbs, "--help", folder=ROOT)


def say(*words: str, folder: Path) -> None:
    subprocess.run([sys.executable, "-m", "tunegate.cli", *words], cwd=folder, check=True, capture_output=True)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_link_leads_to_a_file(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", read_text(page)):
        assert (page.parent / target).exists(), target


def test_the_error_in_the_readme_is_what_is_said(tmp_path: Path) -> None:
    shown = next(block for block in blocks(README, "") if block.startswith("error:"))
    (tmp_path / "params.yaml").write_text(read_text(ROOT / "params.yaml").replace("  rank: 16", "  rnak: 16"))
    command = [sys.executable, "-m", "tunegate.stages", "prepare", "params.yaml", "in", "frozen", "out"]
    done = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, shown)


def test_every_folder_of_the_map_is_there() -> None:
    for path in re.findall(r"(?m)^\| `([^`]+)`", README.split("## The map")[1].split("\n## ")[0]):
        assert (ROOT / path).exists(), path


def test_every_document_that_a_message_points_to_exists_and_is_shipped_with_a_project() -> None:
    code = "".join(read_text(path) for path in sorted((ROOT / "src").rglob("*.py")))
    named = set(re.findall(r"docs/[\w-]+\.md", code + "".join(read_text(source) for source in template().values())))
    assert named
    assert named <= set(template())
