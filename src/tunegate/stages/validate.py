"""Stage `validate`: the rows against the expectations; quarantine or stop.

Reads params.yaml, the ingested rows and the suite; writes rows.parquet, quarantine.parquet, result.json and
ledger.json. Nothing is written when the stage refuses.
"""

from pathlib import Path

from tunegate.data.checks.running import run_suite
from tunegate.data.checks.suites import load_suite
from tunegate.data.checks.validation import judge, quarantine_table
from tunegate.data.rows import PLACED_ROW, rows_of, table_of
from tunegate.files import atomic_folder, write_json
from tunegate.params import load_params
from tunegate.tables import read_parquet, write_parquet


def main(params: str, ingested: str, expectations: str, output: str) -> None:
    """Check the rows in the folder `ingested` with a suite of `expectations`; write what passed to `output`."""
    wanted = load_params(Path(params)).validate_
    with atomic_folder(Path(output)) as folder:
        rows = rows_of(read_parquet(Path(ingested) / "rows.parquet"))
        suite = load_suite(Path(expectations), wanted.suite)
        outcomes = run_suite(suite, rows, str(Path(expectations) / f"{suite.name}.json"))
        checked = judge(suite.name, rows, outcomes, max_quarantined_share=wanted.max_quarantined_share)
        write_parquet(folder / "rows.parquet", table_of(checked.passed, PLACED_ROW))
        write_parquet(folder / "quarantine.parquet", quarantine_table(checked.quarantined))
        write_json(folder / "result.json", checked.result)
        write_json(folder / "ledger.json", checked.ledger)
    failed = sum(not outcome.success for outcome in outcomes)
    print(f"validate: {len(checked.passed)} rows passed, {len(checked.quarantined)} in quarantine; ", end="")
    print(f"{failed} of {len(outcomes)} expectations failed")
