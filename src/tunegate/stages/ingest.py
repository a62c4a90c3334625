"""Stage `ingest`: the declared sources as canonical rows.

Reads params.yaml, sources.yaml, the files it names and the lock file that pins the packages among them; writes
rows.parquet and ledger.json. Opens no connection. Does not know what a good row is: `validate` does.
"""

from pathlib import Path

from tunegate.data.compute.database import budget
from tunegate.data.sources.ingest import ingest
from tunegate.files import atomic_folder, write_json
from tunegate.params import load_params


def main(params: str, sources: str, raw: str, lock: str, output: str) -> None:
    """Read the sources that `sources` declares and write their rows to the folder `output`."""
    settings = load_params(Path(params))
    memory, limit = budget(settings.compute), settings.ingest.limit
    with atomic_folder(Path(output)) as folder:
        rows = folder / "rows.parquet"
        ledger = ingest(Path(sources), Path(raw), Path(lock), rows, memory=memory, limit=limit)
        write_json(folder / "ledger.json", ledger)
    print(f"ingest: {ledger['rows']['out']} rows from {len(ledger['per_source'])} sources")
