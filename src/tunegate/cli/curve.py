"""`tunegate curve`: train on shares of the training rows, and say whether more rows would help."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunegate.cli.runs import table
from tunegate.errors import UsageError
from tunegate.files import STATE, to_json, write_text

if TYPE_CHECKING:
    from tunegate.experiments.curve import Asked, Curve

EPILOG = "Example: tunegate curve --shares 12.5,25,50,100 --seeds 2"


def curve(
    shares: Annotated[str, typer.Option(metavar="PERCENT,…", help="Of the rows, ascending.")] = "12.5,25,50,100",
    seeds: Annotated[int, typer.Option(min=1, help="Trainings per share, from train.seed on.")] = 1,
    metric: Annotated[str, typer.Option(help="accuracy or nll, of the tuned model on the test rows.")] = "accuracy",
    html: Annotated[Path, typer.Option(metavar="FILE", help="Where the page goes.")] = STATE / "curve/report.html",
    as_json: Annotated[bool, typer.Option("--json", help="Print the curve as JSON.")] = False,
) -> None:
    """Measure the score by amount of training data at HEAD, in a scratch checkout; resumes where it was stopped."""
    import dataclasses

    from tqdm import tqdm

    from tunegate.experiments.curve import curve_of, measure
    from tunegate.reporting.pages import render_curve
    from tunegate.repository.revisions import open_repository

    asked, repository = _asked(shares, seeds, metric), open_repository()
    total = len(asked.shares) * asked.seeds
    points = list(tqdm(measure(repository, asked), total=total, desc="curve", unit="training"))
    found = curve_of(repository.resolve("HEAD"), asked, points)
    write_text(html, render_curve(found))
    if as_json:
        told = {"helps": found.helps, "sentence": found.sentence, "report": str(html)}
        print(to_json(dataclasses.asdict(found) | told), end="")
    else:
        print(f"{_as_text(found)}\n\n{found.sentence}\npage {html}")


def _asked(shares: str, seeds: int, metric: str) -> "Asked":
    from tunegate.experiments.curve import Asked, require_sound

    if metric not in ("accuracy", "nll"):
        raise UsageError(f"accuracy or nll (got {metric!r})", place="--metric", remedy="tunegate curve --help")
    try:
        parts = tuple(float(part) / 100 for part in shares.split(","))
    except ValueError:
        problem, remedy = f"not numbers (got {shares!r})", "for instance 12.5,25,50,100"
        raise UsageError(problem, place="--shares", remedy=remedy) from None
    asked = Asked(parts, seeds, "nll" if metric == "nll" else "accuracy")
    require_sound(asked)
    return asked


def _as_text(found: "Curve") -> str:
    head = ("share", "rows", "error" if found.metric == "accuracy" else "nll", "95 % interval", "fitted")
    rows = [
        (f"{share:.4g}", f"{rows:,}", f"{error:.4f}", f"{low:.4f} to {high:.4f}", f"{fitted:.4f}")
        for share, rows, error, low, high, fitted in zip(
            found.shares,
            found.rows,
            found.fit.errors,
            found.fit.lows,
            found.fit.highs,
            (found.fit.error(rows / found.rows[-1]) for rows in found.rows),
            strict=True,
        )
    ]
    return table([head, *rows])
