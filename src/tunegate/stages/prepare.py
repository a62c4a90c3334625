"""Stage `prepare`: repaired, unique rows, split by group into train, valid and test.

Reads params.yaml and the validated rows; writes train.parquet, valid.parquet, test.parquet and ledger.json.
"""

from pathlib import Path

from tunegate.data.preparing.prepare import prepare
from tunegate.data.rows import rows_of, table_of
from tunegate.files import atomic_folder, write_json
from tunegate.params import load_params
from tunegate.tables import read_parquet, write_parquet


def main(params: str, validated: str, output: str) -> None:
    """Clean and split the rows in the folder `validated`; write the splits to the folder `output`."""
    wanted = load_params(Path(params)).prepare
    with atomic_folder(Path(output)) as folder:
        rows = rows_of(read_parquet(Path(validated) / "rows.parquet"))
        splits, ledger = prepare(rows, wanted, place=params)
        for name, split in splits.items():
            write_parquet(folder / f"{name}.parquet", table_of(split))
        write_json(folder / "ledger.json", ledger)
    sizes = ", ".join(f"{name} {len(split)}" for name, split in splits.items())
    print(f"prepare: {len(rows)} rows in; {sizes}")
