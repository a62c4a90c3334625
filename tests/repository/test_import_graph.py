import importlib.metadata
import re
from pathlib import Path

import pytest

from tunegate.errors import InputError, RefusedError
from tunegate.files import write_text
from tunegate.repository import import_graph
from tunegate.repository.import_graph import (
    LOCK,
    MODULES_LEFT_OUT,
    PACKAGES_LEFT_OUT,
    code_of,
    module_digest,
    normalised,
    require_key,
    stage_keys,
)
from tunegate.repository.stage_keys import StageKey

ROOT = Path(__file__).resolve().parents[2]
CODE = """
import os  # why


class Thing:
    \"\"\"What it is.\"\"\"

    size: int = 1
    \"\"\"How large.\"\"\"

    def text(self):
        \"\"\"Its text.\"\"\"
        # A reason.
        return "# not a comment" + \'\'\'
# nor this

\'\'\'
"""


@pytest.fixture(scope="module")
def shipped() -> dict[str, StageKey]:
    lock = (ROOT / LOCK).read_text(encoding="utf-8")
    return stage_keys(["ingest", "validate", "train", "score"], lock, {"ingest": ["zaragoza_construction_faq"]})


def test_comments_docstrings_and_empty_lines_are_no_code() -> None:
    other = CODE.replace("  # why", "").replace("What it is.", "Another text,\n    of two lines.")
    other = other.replace("How large.", "In metres.").replace("# A reason.\n", "\n")
    assert code_of(other) == code_of(CODE)


@pytest.mark.parametrize(
    ("old", "new"), [("= 1", "= 2"), ("# not", "#not"), ("# nor this", "# this"), ("# nor this\n\n", "# nor this\n")]
)
def test_every_byte_of_a_statement_and_of_a_string_is_code(old: str, new: str) -> None:
    assert old in CODE
    assert code_of(CODE.replace(old, new)) != code_of(CODE)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('class A:\n    "doc"; size = 1\n', 'class A:\n    "doc"; size = 2\n'),
        ('x = "\x0c"\n"""doc"""\ny = 1\n', 'x = "\x0c"\n"""doc"""\ny = 2\n'),
        ("x = 'a\\'#b'\n", "x = 'a\\'#c'\n"),
    ],
)
def test_what_stands_beside_a_docstring_or_a_comment_is_code(one: str, other: str) -> None:
    assert code_of(one) != code_of(other)


def test_a_lazy_import_is_in_the_key_and_what_no_import_reaches_is_not(shipped: dict[str, StageKey]) -> None:
    train = shipped["train"]
    assert {
        "tunegate.training.loop",
        "tunegate.training.techniques.reinforce",
        "tunegate.tables",
    } <= train.modules.keys()
    for room in ("preflight", "launch", "gate", "review", "serving", "data.refresh", "data.diff", "models.export"):
        assert not [name for name in train.modules if name.startswith(f"tunegate.{room}")]
    assert train.modules["tunegate.tables"] == module_digest("tunegate.tables")


def test_packages_have_the_versions_of_the_lock_and_come_with_what_they_require(shipped: dict[str, StageKey]) -> None:
    packages = shipped["train"].packages
    assert packages["torch"] == importlib.metadata.version("torch").partition("+")[0]
    assert {"transformers", "tokenizers", "sympy", "numpy"} <= packages.keys()
    assert not {"mlflow", "great-expectations", "typer", "dvc", *PACKAGES_LEFT_OUT} & packages.keys()
    assert "|" in shipped["score"].packages["scipy"], "the lock has one version for each Python"


def test_the_data_of_a_package_is_in_the_key_of_ingest_alone(shipped: dict[str, StageKey]) -> None:
    assert [name for name, key in shipped.items() if "zaragoza-construction-faq" in key.packages] == ["ingest"]


def test_what_is_left_out_exists_and_has_a_reason() -> None:
    for name, reason in MODULES_LEFT_OUT.items():
        assert module_digest(name), f"{name}: no such module"
        assert reason
    page = (ROOT / "docs/keys.md").read_text(encoding="utf-8")
    assert not [text for left in (MODULES_LEFT_OUT, PACKAGES_LEFT_OUT) for text in left.values() if text not in page]
    lock = (ROOT / LOCK).read_text(encoding="utf-8")
    assert not [name for name in PACKAGES_LEFT_OUT if f"\n{name}==" not in lock]


def test_a_damaged_file_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "train.txt"
    write_text(path, "# comment\ntorch==2\n<<<<<<< ours\n")
    with pytest.raises(InputError) as error:
        require_key(path, "train")
    assert error.value.place == f"{path}:3"
    with pytest.raises(InputError, match="no such file"):
        require_key(tmp_path / "none.txt", "train")


def test_a_stage_runs_where_its_file_is_what_is_installed(tmp_path: Path, shipped: dict[str, StageKey]) -> None:
    write_text(tmp_path / "score.txt", shipped["score"].text("score"))
    require_key(tmp_path / "score.txt", "score")


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        (r"^tunegate\.tables .*$", f"tunegate.tables {'0' * 32}", "tunegate.tables changed"),
        (r"^tunegate\.tables .*$", f"tunegate.tablets {'0' * 32}", "tunegate.tablets is gone"),
        (r"^tunegate\.tables .*\n", "", "tunegate.tables is new"),
        (r"^numpy==.*$", "numpy==1.0", "numpy 1.0 → "),
        (r"^tunegate\.reporting/templates/style.css .*\n", "", "templates/style.css is new"),
    ],
)
def test_a_stage_refuses_where_it_is_not(
    tmp_path: Path, shipped: dict[str, StageKey], old: str, new: str, what: str
) -> None:
    text, count = re.subn(old, new, shipped["score"].text("score"), flags=re.MULTILINE)
    assert count == 1
    write_text(tmp_path / "score.txt", text)
    with pytest.raises(RefusedError) as error:
        require_key(tmp_path / "score.txt", "score")
    assert what in error.value.problem
    assert "tunegate keys" in str(error.value.remedy)


def test_the_templates_that_a_stage_writes_with_are_in_its_key_and_no_others(shipped: dict[str, StageKey]) -> None:
    names = [name.rpartition("/")[2] for name in shipped["score"].modules if "/" in name]
    assert {"report.html.j2", "style.css", "mask.html.j2"} <= set(names)
    assert "pull_request.html.j2" not in names
    assert not [name for name in shipped["train"].modules if "/" in name]


def test_a_package_that_is_not_for_this_platform_and_another_build_of_a_version_are_no_difference(
    tmp_path: Path, shipped: dict[str, StageKey], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "2.13.0+cpu" if name == "torch" else real(name))
    key = shipped["train"]
    write_text(tmp_path / "train.txt", StageKey(key.modules, key.packages | {"pywin32": "312"}).text("train"))
    require_key(tmp_path / "train.txt", "train")


def test_a_module_of_a_stage_that_cannot_be_found_has_no_digest() -> None:
    assert module_digest("tunegate.nowhere.deep") == ""


def test_importable_names_and_requirements_are_those_that_python_s_own_parsers_find() -> None:
    expected = {
        name: set(map(normalised, found)) for name, found in importlib.metadata.packages_distributions().items()
    }
    assert expected.items() <= import_graph._owners().items()
    for name in {name for names in expected.values() for name in names}:
        assert import_graph._requires(name) == (importlib.metadata.requires(name) or []), name
