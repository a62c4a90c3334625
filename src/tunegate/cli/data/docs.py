"""`tunegate data docs`: Great Expectations' own page on the rows that the pipeline checks.

Reads params.yaml, the ingested rows and the suite; writes a web page on request.
"""

from pathlib import Path
from typing import Annotated

import typer


def docs(
    params: Annotated[Path, typer.Option(help="Names the suite.")] = Path("params.yaml"),
    ingested: Annotated[Path, typer.Option(help="The output of the stage `ingest`.")] = Path("data/ingested"),
    expectations: Annotated[Path, typer.Option(help="The folder of the suites.")] = Path("data/expectations"),
    templates: Annotated[Path, typer.Option(help="The folder of the chat templates.")] = Path("models/templates"),
    output: Annotated[Path, typer.Option(help="The folder to write; replaced.")] = Path("reports/data-docs"),
) -> None:
    """Write Great Expectations' data docs of the ingested rows, or of a sample of many, and print the page to open."""
    from tunegate.data.checks.page import write_page
    from tunegate.data.checks.suites import load_suite
    from tunegate.files import atomic_folder
    from tunegate.params import load_params
    from tunegate.tables import parquet_rows

    rows = ingested / "rows.parquet"
    # Said before a folder is made for a page that cannot be.
    parquet_rows(rows)
    suite = load_suite(expectations, load_params(params).validate_.suite)
    place = str(expectations / f"{suite.name}.json")
    with atomic_folder(output) as folder:
        page = write_page(suite, rows, place, templates, folder)
        inside = page.path.relative_to(folder)
    print(output / inside)
    if page.shown < page.rows:
        typer.echo(f"a sample of {page.shown} of {page.rows} rows: the stage `validate` checks all of them", err=True)
