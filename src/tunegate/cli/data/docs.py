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
    output: Annotated[Path, typer.Option(help="The folder to write; replaced.")] = Path("reports/data-docs"),
) -> None:
    """Write Great Expectations' data docs of the ingested rows and print the page to open."""
    from tunegate.data.checks.running import write_docs
    from tunegate.data.checks.suites import load_suite
    from tunegate.data.rows import rows_of
    from tunegate.files import atomic_folder
    from tunegate.params import load_params
    from tunegate.tables import read_parquet

    suite = load_suite(expectations, load_params(params).validate_.suite)
    rows = rows_of(read_parquet(ingested / "rows.parquet"))
    with atomic_folder(output) as folder:
        page = write_docs(suite, rows, str(expectations / f"{suite.name}.json"), folder)
        inside = page.relative_to(folder)
    print(output / inside)
