"""`tunegate data suggest`: a suite of expectations to begin with, from what the ingested rows are like.

Reads the ingested rows and the chat templates; writes a suite that a person edits.
"""

from pathlib import Path
from typing import Annotated

import typer

EPILOG = "Example: tunegate data suggest --output data/expectations/tickets.json"


def suggest(
    source: Annotated[
        str | None, typer.Option(help="Look at the rows of this source alone, and judge no others.")
    ] = None,
    output: Annotated[Path, typer.Option(help="The suite to write.")] = Path("data/expectations/suggested.json"),
    force: Annotated[bool, typer.Option("--force", help="Replace a suite that is there.")] = False,
    ingested: Annotated[Path, typer.Option(help="The output of the stage `ingest`.")] = Path("data/ingested"),
    templates: Annotated[Path, typer.Option(help="The folder of the chat templates.")] = Path("models/templates"),
) -> None:
    """Write a suite that fits the ingested rows, and print what to do with it."""
    from tunegate.data.checks.profile import profile_of
    from tunegate.data.checks.suggestions import suggest as suggested
    from tunegate.errors import UsageError
    from tunegate.files import write_json

    if output.suffix != ".json":
        raise UsageError("must end with .json", place=f"--output {output}", remedy="name the file of the suite")
    if output.exists() and not force:
        remedy = "name another --output, or replace the suite and what was edited in it with --force"
        raise UsageError("is there already", place=f"--output {output}", remedy=remedy)
    suite = suggested(profile_of(ingested / "rows.parquet", source), output.stem, templates)
    write_json(output, suite)
    print(f"{output}: {len(suite['expectations'])} expectations; edit them, then set validate.suite: {output.stem}")
