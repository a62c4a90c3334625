"""Which room may import which, and which library lives where: two tables, held against the import graph."""

import functools
from pathlib import Path

import grimp
import pytest

CODE = Path(__file__).resolve().parents[1] / "src" / "tunegate"

FLOORS = (
    ("cli", "stages"),
    ("review",),
    ("reporting",),
    ("serving", "release", "experiments", "preflight", "launch"),
    ("tracking", "gate"),
    ("training", "evaluation"),
    ("engines",),
    ("data", "models"),
    ("repository",),
    ("statistics",),
    ("params",),
    ("tables",),
    ("files",),
    ("http",),
    ("locks", "machine"),
    ("errors",),
    ("text",),
)
"""Top to bottom. A room imports what stands below it; rooms of one floor do not know each other."""

SUBROOMS = (("diff", "refresh"), ("preparation", "checks", "sources"), ("similarity", "ledger"), ("compute",))
"""The same inside `data`; its modules `rows` and `patterns` stand below all of them."""

TORCH = ("models", "training", "evaluation", "engines", "preflight", "serving")
LIBRARIES = {
    "accelerate": ("training",),
    "bentoml": ("serving", "release"),
    "bitsandbytes": ("models", "training"),
    "cleanlab": ("data.preparation",),
    "dvc": ("repository",),
    "dvc_data": ("repository",),
    "fsspec": ("data.refresh",),
    "gguf": ("models",),
    "great_expectations": ("data.checks",),
    "httpx": ("http",),
    "huggingface_hub": ("models",),
    "mlflow": ("tracking",),
    "openvino": ("engines",),
    "openvino_genai": ("engines",),
    "optuna": ("experiments",),
    "peft": TORCH,
    "phonenumbers": ("data.preparation",),
    "presidio_analyzer": ("data.preparation",),
    "psycopg": ("data.refresh",),
    "pymysql": ("data.refresh",),
    "ray": ("data.compute", "training"),
    "safetensors": TORCH,
    "selectolax": ("data.preparation",),
    "sqlalchemy": ("data.refresh", "experiments"),
    "starlette": ("serving",),
    "stdnum": ("data.preparation",),
    "tokenizers": TORCH,
    "torch": TORCH,
    "transformers": TORCH,
    "typer": ("cli",),
    # What tunegate is compared with, in bench/ and tests.
    "datasets": (),
    "matplotlib": (),
    "trl": (),
}
"""The rooms that may import a library; other rooms ask those."""


@functools.cache
def imports() -> list[tuple[str, str]]:
    """Every import of the house, lazy ones too: (importer, imported), without the leading `tunegate.`."""
    graph = grimp.build_graph(
        "tunegate", include_external_packages=True, exclude_type_checking_imports=False, cache_dir=None
    )
    inside = [name for name in graph.modules if name.startswith("tunegate.")]
    return sorted(
        (name.removeprefix("tunegate."), other.removeprefix("tunegate."))
        for name in inside
        for other in graph.find_modules_directly_imported_by(name)
    )


def rank(floors: tuple[tuple[str, ...], ...]) -> dict[str, int]:
    return {room: -number for number, floor in enumerate(floors) for room in floor}


def upward(floors: tuple[tuple[str, ...], ...], inside: str = "") -> list[str]:
    """The imports between these rooms that do not go down."""
    level, found = rank(floors), []
    for importer, imported in imports():
        if importer.startswith(inside) and imported.startswith(inside):
            first, second = (name.removeprefix(inside).partition(".")[0] for name in (importer, imported))
            if first != second and first in level and second in level and level[first] <= level[second]:
                found.append(f"{importer} imports {imported}")
    return found


def test_the_graph_is_that_of_the_house() -> None:
    assert len(imports()) > 1000
    assert ("stages.train", "training.parallel.launcher") in imports(), "a lazy import"


def test_every_room_has_a_floor() -> None:
    rooms = {
        path.stem for path in CODE.iterdir() if (path.is_dir() and path.name != "__pycache__") or path.suffix == ".py"
    }
    assert rooms - {"__init__", "template", "examples"} <= set(rank(FLOORS))


def test_arrows_go_down() -> None:
    assert not upward(FLOORS)
    assert not upward(SUBROOMS, "data.")


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_is_imported_in_its_rooms_only(library: str) -> None:
    allowed = LIBRARIES[library]
    importers = [importer for importer, imported in imports() if imported.partition(".")[0] == library]
    assert not [name for name in importers if not f"{name}.".startswith(tuple(f"{room}." for room in allowed))]
    assert importers or not allowed or library in ("psycopg", "pymysql"), "no longer used: take it out of the table"


def test_stages_do_not_import_each_other() -> None:
    assert not [pair for pair in imports() if all(name.startswith("stages.") for name in pair)]


def test_no_modules_import_each_other_in_a_circle() -> None:
    below: dict[str, set[str]] = {}
    for importer, imported in imports():
        below.setdefault(importer, set()).add(imported)
    while leaves := {name for name, others in below.items() if not others & below.keys()}:
        below = {name: others for name, others in below.items() if name not in leaves}
    assert not below, f"a circle among {sorted(below)}"


def test_the_house_is_not_too_wide() -> None:
    folders = [CODE, *(path for path in CODE.rglob("*") if path.is_dir() and (path / "__init__.py").exists())]
    assert len([path for path in CODE.iterdir() if (path / "__init__.py").exists()]) <= 20
    assert not {path.name: n for path in folders if (n := len(list(path.glob("*.py")))) > 26}, "25 and __init__"
