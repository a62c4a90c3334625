"""`tunegate data ledger`: rows and tokens in and out, for every source and reason, and that the sums balance."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunegate.cli.runs import table
from tunegate.data.diff.ledger_table import By, balance, table_of
from tunegate.files import to_json
from tunegate.text import visible

EPILOG = "Example: tunegate data ledger --by reason"

if TYPE_CHECKING:
    from tunegate.data.ledger.stage_ledger import Ledger


def ledger(
    data: Annotated[Path, typer.Option(help="The folder of the stages' outputs.")] = Path("data"),
    adapter: Annotated[Path, typer.Option(help="The output of `train`.")] = Path("models/adapter"),
    by: Annotated[By | None, typer.Option(help="Sum up by this; default: each source with its reasons.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all counts as JSON.")] = False,
) -> None:
    """Print how many rows and tokens came in, went out and were left out for which reason."""
    from tunegate.data.ledger.stage_ledger import combine, read_ledger

    combined = combine([data / name for name in ("ingested", "validated", "prepared", "tokens")])
    sentence = balance(combined)
    if as_json:
        print(visible(to_json(combined)), end="")
        return
    print(table([[visible(cell, keep="") for cell in line] for line in table_of(combined, by)]))
    print(sentence)
    if (adapter / "ledger.json").is_file():
        print(_trained(read_ledger(adapter)))


def _trained(ledger: "Ledger") -> str:
    left = ", ".join(f"{count:,} {visible(reason, keep='')}" for reason, count in ledger.reasons.items())
    rows = ledger.rows
    flow = f"train: {rows.in_:,} rows in = {rows.out:,} trained on + {rows.in_ - rows.out:,} not"
    return (
        f"{flow}{f' ({left})' if left else ''}; {ledger.notes['pseudo_labelled']:,} with an answer of the model's own"
    )
