"""Stage `validate`: the rows against the expectations; quarantine or stop.

Reads params.yaml, the ingested rows, the suite and the chat templates that it names; writes rows.parquet,
quarantine.parquet, result.json and ledger.json. Nothing is written when the stage refuses.
"""

from pathlib import Path

from tunegate.data.checks.suite_runner import run_suite
from tunegate.data.checks.suites import load_suite
from tunegate.data.checks.validation import decide, part_rows
from tunegate.data.compute.database import budget
from tunegate.files import atomic_folder, write_json
from tunegate.params import load_params


def main(params: str, ingested: str, expectations: str, templates: str, output: str) -> None:
    """Check the rows in the folder `ingested` with a suite of `expectations`; write what passed to `output`."""
    settings = load_params(Path(params))
    checks, rows = settings.validate_, Path(ingested) / "rows.parquet"
    with atomic_folder(Path(output)) as folder:
        suite = load_suite(Path(expectations), checks.suite)
        place = str(Path(expectations) / f"{suite.name}.json")
        checked = run_suite(suite, rows, place, templates=Path(templates), memory=budget(settings.compute))
        limit = checks.max_quarantined_share
        validation = decide(suite.name, checked.rows, checked.outcomes, max_quarantined_share=limit)
        part_rows(rows, validation, folder / "rows.parquet", folder / "quarantine.parquet")
        write_json(folder / "result.json", validation.result)
        write_json(folder / "ledger.json", validation.ledger)
    away, failed = len(validation.quarantined), sum(not outcome.success for outcome in checked.outcomes)
    print(f"validate: {len(checked.rows) - away} rows passed, {away} in quarantine; ", end="")
    print(f"{failed} of {len(checked.outcomes)} expectations failed")
