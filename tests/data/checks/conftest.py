"""A suite over rows that are in a Parquet file, as the stage has them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tunegate.data.checks.suite_runner import Checked, run_suite
from tunegate.data.checks.suites import Suite
from tunegate.data.rows import PLACED_ROW, Row, table_of
from tunegate.files import to_json
from tunegate.tables import write_parquet

TEMPLATES = Path(__file__).resolve().parents[3] / "models/templates"
MEMORY = 2**28


@pytest.fixture
def suite_of() -> Callable[..., Suite]:
    """`suite_of((type, kwargs, severity), …)`: a suite named `mine`."""

    def make(*expectations: tuple[str, dict[str, Any], str]) -> Suite:
        listed = [{"type": kind, "kwargs": kwargs, "severity": severity} for kind, kwargs, severity in expectations]
        return Suite.model_validate_json(to_json({"name": "mine", "expectations": listed}))

    return make


@pytest.fixture
def stored(tmp_path: Path) -> Callable[[list[Row]], Path]:
    """`stored(rows)`: the Parquet file that they are in."""

    def store(rows: list[Row]) -> Path:
        path = tmp_path / "rows.parquet"
        write_parquet(path, table_of(rows, PLACED_ROW))
        return path

    return store


@pytest.fixture
def check(stored: Callable[[list[Row]], Path], suite_of: Callable[..., Suite]) -> Callable[..., Checked]:
    """`check(rows, (type, kwargs, severity), …)`: what running the suite `mine.json` over the rows gives."""

    def run(rows: list[Row], *expectations: tuple[str, dict[str, Any], str], **options: Any) -> Checked:
        settings = {"templates": TEMPLATES, "memory": MEMORY} | options
        return run_suite(suite_of(*expectations), stored(rows), "mine.json", **settings)

    return run


@pytest.fixture
def templates() -> Path:
    """The project's own chat templates."""
    return TEMPLATES
