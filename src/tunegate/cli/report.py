"""`tunegate report`: what a reviewer reads of a change: a page, the comment for the pull request, the verdict.

Judges as `tunegate gate` does, and ends with 0 for any verdict: refusing is the gate's.
"""

from pathlib import Path
from typing import Annotated

import typer

from tunegate.errors import RefusedError
from tunegate.files import STATE, read_json


def report(
    base: Annotated[str | None, typer.Option(help="The branch that the change goes to; default: the remote's.")] = None,
    head: Annotated[str | None, typer.Option(help="Report this revision instead of the working tree's lock.")] = None,
    out: Annotated[Path, typer.Option(help="The folder to write to.")] = STATE / "report",
    verdict: Annotated[Path | None, typer.Option(help="Refuse unless this, by `gate --json`, is the verdict.")] = None,
    approved_by: Annotated[list[str] | None, typer.Option(help="A person who approved; may be repeated.")] = None,
    proof: Annotated[bool, typer.Option(help="Check that every locked run happened, as `verify` does.")] = True,
) -> None:
    """Write report.html, report.md and verdict.json. Example: tunegate report --base origin/main --out report"""
    from tunegate.reporting.pull_request import proofs_shown, pull_request_of
    from tunegate.reporting.pull_request_page import write_report
    from tunegate.repository.proof import prove
    from tunegate.review.evidence import open_evidence

    given = read_json(verdict) if verdict else None
    approvals = [*(approved_by or ()), *(given.get("approvals", []) if isinstance(given, dict) else [])]
    with open_evidence(base=base, head=head, approvals=approvals) as evidence:
        if verdict and given != evidence.verdict.model_dump(mode="json"):
            problem = f"not the verdict on these commits, which is: {evidence.verdict.headline}"
            raise RefusedError(problem, place=str(verdict), remedy="run `tunegate gate --json` again on these commits")
        proofs = proofs_shown(prove(evidence.candidate, quick=True)) if proof else None
        paths = write_report(pull_request_of(evidence, proofs), out)
    print(evidence.verdict.headline)
    print("wrote " + ", ".join(map(str, paths)))
