"""`tunegate preflight`: what can be known before an hour is spent, on the terminal, as JSON and as a page.

Reads data/prepared, data/tokens and models/base as the working tree has them; writes nothing but the page asked for.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunegate.cli.runs import table
from tunegate.errors import RefusedError
from tunegate.files import to_json, write_text
from tunegate.models.devices import use_portable_instructions
from tunegate.params import load_params
from tunegate.reporting.pages import costs_of, render_preflight
from tunegate.text import visible

if TYPE_CHECKING:
    from tunegate.models.tokens.preview import Span
    from tunegate.preflight.checks import Finding
    from tunegate.preflight.run import Preflight

_MARKS = {"ok": ("ok", "green"), "warning": ("look", "yellow"), "refused": ("NO", "red"), "skipped": ("--", "white")}
_SHOWN = 4


def preflight(
    params: Annotated[Path, typer.Option(metavar="FILE", help="The parameters.")] = Path("params.yaml"),
    prepared: Annotated[Path, typer.Option(metavar="DIR", help="What `prepare` wrote.")] = Path("data/prepared"),
    tokens: Annotated[Path, typer.Option(metavar="DIR", help="What `tokenize` wrote.")] = Path("data/tokens"),
    base: Annotated[Path, typer.Option(metavar="DIR", help="What `base` wrote.")] = Path("models/base"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write them as a page, too.")] = None,
) -> None:
    """Check rows, template and model before training, and forecast its memory and time.

    Example: dvc repro tokenize && tunegate preflight

    Exits with 3 where training is refused. It takes a minute on a CPU for a small model: the model is loaded, two small
    batches are measured, and one is overfit. Nothing is kept of it.
    """
    settings = load_params(params)
    if settings.train.instructions == "portable":
        use_portable_instructions()
    from tunegate.preflight.run import preflight as run
    from tunegate.preflight.run import read_inputs

    with _progress() as say:
        result = run(read_inputs(settings, prepared, tokens, base), say)
    if html:
        write_text(html, render_preflight(result))
    typer.echo(to_json(_plain(result)) if as_json else as_text(result), nl=not as_json)
    if result.refused:
        problem = "; ".join(f"{finding.check}: {finding.result}" for finding in result.refused)
        raise RefusedError(problem, place="preflight", remedy="; ".join(f.remedy for f in result.refused))


def as_text(result: "Preflight") -> str:
    """Findings, mask and forecast for a terminal."""
    costs = [table(costs_of(result.forecast))] if result.forecast else []
    lists = ([*_findings(result.findings)], [*_mask(result.preview)], costs)
    return "\n\n".join("\n".join(lines) for lines in lists if lines)


def _findings(findings: "Sequence[Finding]") -> Iterator[str]:
    width = max(len(finding.check) for finding in findings)
    for finding in findings:
        word, colour = _MARKS[finding.status]
        mark = typer.style(word.ljust(4), fg=colour, bold=True)
        yield f"{mark}  {finding.check.ljust(width)}  {visible(finding.result)}"
        if finding.remedy and finding.status != "ok":
            yield f"{' ' * (width + 8)}{typer.style(visible(finding.remedy), dim=True)}"


def _mask(preview: "Sequence[tuple[str, list[Span]]]") -> Iterator[str]:
    green = typer.style("what is trained on", fg="green", underline=True)
    yield f"{green}, and what is only read:"
    for name, spans in preview[:_SHOWN]:
        yield f"  {visible(name)}  {''.join(map(_shown, spans))}"


def _shown(span: "Span") -> str:
    text = visible(span.text, keep="").replace("\\n", "↵")
    return typer.style(text, fg="green", underline=True) if span.trained else typer.style(text, dim=True)


@contextlib.contextmanager
def _progress() -> "Iterator[Callable[[str], None]]":
    from tqdm import tqdm

    with tqdm(bar_format="preflight: {desc} ({elapsed})", leave=False, disable=None) as bar:
        yield bar.set_description_str


def _plain(preflight: "Preflight") -> dict[str, Any]:
    forecast = preflight.forecast and {
        **dataclasses.asdict(preflight.forecast),
        "gpu_name": preflight.forecast.gpu_name,
    }
    preview = [
        {"id": name, "pieces": [dataclasses.asdict(span) for span in spans]} for name, spans in preflight.preview
    ]
    findings = [
        {"check": f.check, "status": f.status, "found": f.result, "remedy": f.remedy} for f in preflight.findings
    ]
    return {"findings": findings, "forecast": forecast, "preview": preview}
