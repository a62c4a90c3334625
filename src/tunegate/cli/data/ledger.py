"""`tunegate data ledger`: rows and tokens in and out, for every source and reason, and that the sums close."""

from pathlib import Path
from typing import Annotated

import typer

from tunegate.cli.runs import table
from tunegate.data.ledger_table import By, closing, table_of
from tunegate.errors import visible
from tunegate.files import to_json


def ledger(
    data: Annotated[Path, typer.Option(help="The folder of the stages' outputs.")] = Path("data"),
    by: Annotated[By | None, typer.Option(help="Sum up by this; default: each source with its reasons.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all counts as JSON.")] = False,
) -> None:
    """Print how many rows and tokens came in, went out and were left out for which reason."""
    from tunegate.data.ledger import combine

    combined = combine([data / name for name in ("ingested", "validated", "prepared", "tokens")])
    said = closing(combined)
    if as_json:
        print(visible(to_json(combined)), end="")
        return
    print(table([[visible(cell, keep="") for cell in line] for line in table_of(combined, by)]))
    print(said)
