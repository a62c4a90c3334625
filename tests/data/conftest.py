"""A folder with data/raw and a lock, in which sources are declared and read."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tunegate.data.rows import Row, rows_of
from tunegate.data.sources.ingest import ingest
from tunegate.errors import TunegateError
from tunegate.files import write_text, write_yaml
from tunegate.tables import read_parquet

MEMORY = 2**28


class Ingested(NamedTuple):
    """The rows that `ingest` wrote, and its ledger."""

    rows: list[Row]
    ledger: dict[str, Any]


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """data/raw of an otherwise empty repository, which is the working directory."""
    monkeypatch.chdir(tmp_path)
    write_text(Path("lock.txt"), "zaragoza-construction-faq==1.2.1 \\\n    --hash=sha256:0\n")
    folder = Path("data/raw")
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def read(raw: Path) -> Callable[..., Ingested]:
    """`read({...source...}, ..., limit=None)`: declare the sources and ingest them."""

    def declare_and_read(*sources: dict[str, Any], limit: int | None = None) -> Ingested:
        write_yaml(Path("data/sources.yaml"), {"sources": list(sources)})
        rows = Path("rows.parquet")
        ledger = ingest(Path("data/sources.yaml"), Path("data/raw"), Path("lock.txt"), rows, memory=MEMORY, limit=limit)
        return Ingested(rows_of(read_parquet(rows)), ledger)

    return declare_and_read


@pytest.fixture
def refusal(read: Callable[..., Ingested]) -> Callable[..., TunegateError]:
    """`refusal({...source...}, ...)`: the error that ingesting the sources gives, which has a remedy."""

    def declare_and_fail(*sources: dict[str, Any]) -> TunegateError:
        with pytest.raises(TunegateError) as caught:
            read(*sources)
        assert caught.value.remedy
        return caught.value

    return declare_and_fail


@pytest.fixture
def row() -> Callable[..., Row]:
    """`row("a", text=…, …)`: a labelled row with defaults."""

    def make(name: str, **values: Any) -> Row:
        defaults = {"group": name, "source": "s", "place": f"f.csv:{name}", "text": f"Question {name}?", "label": "x"}
        return Row(id=name, **(defaults | values))

    return make
