"""`tunegate gate`: the verdict on a change, on the terminal and as JSON; its exit code is the verdict's."""

import textwrap
from pathlib import Path
from typing import Annotated

import typer

from tunegate.cli.runs import table
from tunegate.files import to_json, write_json
from tunegate.gate.verdict import Verdict, schema

_WIDTH = 110


def gate(
    base: Annotated[str | None, typer.Option(help="The branch that the change goes to; default: the remote's.")] = None,
    head: Annotated[str | None, typer.Option(help="Judge this revision instead of the working tree's lock.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the verdict here; - for stdout.")] = None,
    approved_by: Annotated[list[str] | None, typer.Option(help="A person who approved; may be repeated.")] = None,
    print_schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema of a verdict.")] = False,
) -> None:
    """Judge a change of the model: 0 pass, 3 refused, 4 inconclusive. Example: tunegate gate --base origin/main"""
    if print_schema:
        print(to_json(schema()), end="")
        return
    from tunegate.review.evidence import open_evidence

    with open_evidence(base=base, head=head, approvals=approved_by or ()) as evidence:
        verdict = evidence.verdict
    if json_file == Path("-"):
        print(to_json(verdict.model_dump(mode="json")), end="")
    else:
        print(as_text(verdict))
        if json_file:
            write_json(json_file, verdict.model_dump(mode="json"))
    raise typer.Exit(verdict.exit_code)


def as_text(verdict: Verdict) -> str:
    """The verdict for a terminal."""
    revisions = verdict.revisions
    head = revisions.head if " " in revisions.head else revisions.head[:12]
    compared = [("candidate", head), ("baseline", revisions.merge_base[:12])]
    if verdict.unchanged and not verdict.reasons:
        return f"{textwrap.fill(verdict.headline, _WIDTH)}\n{table(compared)}"
    return "\n".join(
        [
            textwrap.fill(verdict.headline, _WIDTH),
            "",
            *(_reason(reason.level, reason.text) for reason in verdict.reasons),
            "",
            table([*compared, *_facts(verdict)]),
        ]
    )


def _facts(verdict: Verdict) -> list[tuple[str, str]]:
    test = verdict.test_set
    scored = "scored again on this test set" if verdict.rescored else "as locked"
    baseline = "none: the first model" if all(m.baseline is None for m in verdict.metrics) else scored
    return [
        ("", f"predictions of the baseline: {baseline}"),
        ("test set", f"{test.sha256[:12]}, {test.rows} rows in {test.clusters} groups"),
        ("policy", f"{verdict.policy_sha256[:12]}, alpha {verdict.alpha:g}, {verdict.resamples:,} resamples"),
    ]


def _reason(level: str, text: str) -> str:
    return textwrap.fill(text, _WIDTH, initial_indent=f"  {level:<13}", subsequent_indent=" " * 15)
