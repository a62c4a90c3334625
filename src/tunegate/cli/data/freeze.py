"""`tunegate data freeze`: the rows of the test split become the test set, whatever rows are added later.

Reads the output of the stage `prepare`; writes data/frozen/test.json.
"""

import json
from pathlib import Path
from typing import Annotated

import typer

EPILOG = "Example: tunegate data freeze && git add data/frozen"


def freeze(
    prepared: Annotated[Path, typer.Option(help="The output of the stage `prepare`.")] = Path("data/prepared"),
    frozen: Annotated[Path, typer.Option(help="The folder of the frozen test set.")] = Path("data/frozen"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write down which rows the test split has, and print the sha256 with which params.yaml pins them."""
    from tunegate.data.preparation.frozen_test_set import FILE, freeze
    from tunegate.tables import parquet_batches

    rows, sha256 = freeze(parquet_batches(prepared / "test.parquet"), frozen)
    if as_json:
        print(json.dumps({"file": str(frozen / FILE), "rows": rows, "sha256": sha256}))
        return
    print(f"{frozen / FILE}: {rows} rows. To test on them and no others, set in params.yaml:")
    print(f"prepare:\n  test_set: {sha256}")
