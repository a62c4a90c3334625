"""Stage `ingest`: the declared sources as canonical rows.

Reads params.yaml, sources.yaml, the files it names and the lock file that pins the packages among them; writes
rows.parquet and ledger.json. Opens no connection. Does not know what a good row is: `validate` does.
"""

from pathlib import Path

from tunegate.data.rows import PLACED_ROW, table_of
from tunegate.data.sources.ingest import ingest
from tunegate.files import atomic_folder, write_json
from tunegate.params import load_params
from tunegate.tables import write_parquet


def main(params: str, sources: str, raw: str, lock: str, output: str) -> None:
    """Read the sources that `sources` declares and write their rows to the folder `output`."""
    limit = load_params(Path(params)).ingest.limit
    with atomic_folder(Path(output)) as folder:
        rows, ledger = ingest(Path(sources), Path(raw), Path(lock), limit=limit)
        write_parquet(folder / "rows.parquet", table_of(rows, PLACED_ROW))
        write_json(folder / "ledger.json", ledger)
    print(f"ingest: {len(rows)} rows from {len(ledger['per_source'])} sources")
