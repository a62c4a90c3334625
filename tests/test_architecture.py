"""docs/architecture.md draws the house as it stands: its floors, its rooms, and the code that its walks name."""

import ast
import re
from pathlib import Path

import pytest
from test_rooms import FLOORS

ROOT = Path(__file__).resolve().parents[1]
CODE = ROOT / "src" / "tunegate"
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
STEPS = sorted(set(re.findall(r"`([\w.]+:[\w.]+)`", PAGE)))


def names_in(module: str) -> set[str]:
    """The names at the top of a module: what it defines, and what a package hands on."""
    path = CODE / module.replace(".", "/")
    file = path.with_suffix(".py") if path.with_suffix(".py").exists() else path / "__init__.py"
    body = ast.parse(file.read_text(encoding="utf-8")).body
    defined = {node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef)}
    handed_on = {
        alias.asname or alias.name for node in body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    return defined | handed_on if file.name == "__init__.py" else defined


def test_the_drawing_has_the_floors_of_the_table() -> None:
    floors = re.findall(r"(?s)subgraph floor\d+ \[[^\]]+\]\n        direction LR\n(.*?)\n    end", PAGE)
    assert tuple(tuple(room.strip() for room in floor.split("~~~")) for floor in floors) == FLOORS
    arrows = "floor" + " --> floor".join(map(str, range(1, len(FLOORS) + 1)))
    assert arrows in PAGE.replace("\n    floor8 -->", " -->")


def test_every_room_has_a_line() -> None:
    rooms = re.findall(r"(?m)^\| `(\w+)` \|", PAGE.split("## Rules")[0])
    assert rooms == [room for floor in FLOORS for room in floor]


def test_there_are_four_walks() -> None:
    walks = PAGE.split("\n## A row to the verdict")[1].split("\n## ")
    assert len(walks) == 4
    assert all(len(re.findall(r":[\w.]+`", walk)) >= 5 for walk in walks)


@pytest.mark.parametrize("step", STEPS)
def test_a_step_of_a_walk_exists(step: str) -> None:
    module, _, name = step.partition(":")
    assert name in names_in(module)
