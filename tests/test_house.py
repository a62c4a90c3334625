"""The shape of the house: sizes, names, and no option that nothing reads."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from tunegate import TELEMETRY_OFF
from tunegate.files import read_yaml
from tunegate.params import Params

ROOT = Path(__file__).resolve().parents[1]
CODE = ROOT / "src" / "tunegate"
MODULES = sorted(CODE.rglob("*.py"))
STAGES = [path for path in MODULES if path.parent.name == "stages" and not path.name.startswith("__")]


def name_of(path: Path) -> str:
    return path.relative_to(CODE).as_posix()


def attributes_of(paths: list[Path]) -> set[str]:
    return {node.attr for path in paths for node in ast.walk(tree_of(path)) if isinstance(node, ast.Attribute)}


def options_of(annotation: Any) -> Iterator[str]:
    """The names of all options inside of a section, those of the sections in it too."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, field in annotation.model_fields.items():
            yield name
            yield from options_of(field.annotation)
    for part in get_args(annotation):
        yield from options_of(part)


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def long_functions(path: Path, limit: int) -> Iterator[str]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            if lines > limit:
                yield f"{node.name}: {lines} lines"


def test_there_is_code_to_check() -> None:
    assert len(MODULES) > 20
    assert STAGES


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_is_small_and_says_what_it_is_for(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    limit = 60 if path in STAGES else 300
    assert len(text.splitlines()) <= limit, f"at most {limit} lines"
    assert not list(long_functions(path, 50)), "at most 50 lines"
    assert path.name == "__init__.py" or ast.get_docstring(tree_of(path))


@pytest.mark.parametrize("path", STAGES, ids=name_of)
def test_a_stage_is_read_call_write(path: Path) -> None:
    assert path.stem in read_yaml(ROOT / "dvc.yaml")["stages"], "dvc.yaml does not run it"
    functions = [node.name for node in tree_of(path).body if isinstance(node, ast.FunctionDef)]
    assert functions[0] == "main"


@pytest.mark.parametrize("name", Params.model_fields)
def test_every_option_is_read_by_some_code(name: str) -> None:
    used = attributes_of([path for path in MODULES if CODE / "params" not in path.parents])
    unread = set(options_of(Params.model_fields[name].annotation)) - used
    assert not unread, "options that nothing reads"


def test_every_test_file_mirrors_a_module_or_says_what_else_it_is_about() -> None:
    whole = {
        "test_project.py",
        "test_house.py",
        "test_rooms.py",
        "test_docs.py",
        "test_environment.py",
        "test_words.py",
        "test_architecture.py",
    }
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        place = path.relative_to(ROOT / "tests")
        module = CODE / place.with_name(path.name.removeprefix("test_"))
        package = module.parent / "__init__.py" if module.stem == module.parent.name else module
        elsewhere = place.parts[0] in ("pipeline", "workflows") or path.name in whole
        assert module.exists() or package.exists() or elsewhere, f"{path}: of which module?"


def test_people_hooks_and_ci_switch_off_the_same_telemetry() -> None:
    lines = (ROOT / "Makefile").read_text(encoding="utf-8").splitlines()
    exported = dict(line.removeprefix("export ").split(" := ") for line in lines if line.startswith("export "))
    assert {name: exported.get(name) for name in TELEMETRY_OFF} == TELEMETRY_OFF


def test_no_file_names_a_package_index_or_a_path_of_one_machine() -> None:
    locks = [*sorted((ROOT / "requirements").glob("*.txt")), ROOT / "pyproject.toml", ROOT / "Makefile"]
    for path in locks:
        text = path.read_text(encoding="utf-8")
        for word in ("--index-url", "--extra-index-url", "--find-links", "https://", "file:///", "/home/", "/root/"):
            assert word not in text, f"{path.name}: {word}"
