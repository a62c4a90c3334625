"""Stage `prepare`: repaired, unique rows, split by group into train, valid and test.

Reads params.yaml, the validated rows and the frozen test set; writes train.parquet, valid.parquet, test.parquet,
dropped.parquet, changes.parquet, label_issues.json when asked, and ledger.json.
"""

import shutil
from pathlib import Path

from tunegate.data.preparation.frozen_test_set import read_frozen
from tunegate.data.preparation.prepare import WORK, prepare
from tunegate.files import atomic_folder
from tunegate.params import load_params
from tunegate.tables import parquet_batches


def main(params: str, validated: str, frozen: str, output: str) -> None:
    """Clean and split the rows in the folder `validated`; write the splits to the folder `output`."""
    settings = load_params(Path(params))
    test_set = read_frozen(Path(frozen), settings.prepare.test_set, place=params)
    rows = parquet_batches(Path(validated) / "rows.parquet")
    with atomic_folder(Path(output)) as folder:
        ledger = prepare(rows, folder, settings.prepare, settings.compute, frozen=test_set, place=params)
        shutil.rmtree(folder / WORK)
    sizes = ", ".join(f"{name} {ledger['notes'][f'split: {name}']}" for name in ("train", "valid", "test"))
    print(f"prepare: {ledger['rows']['in']} rows in; {sizes}")
