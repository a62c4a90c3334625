"""`tunegate data why`: the history of one row, from its file and line to its last answer."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunegate.files import to_json
from tunegate.text import visible

EPILOG = "Example: tunegate data why bygglov-001-sv"

if TYPE_CHECKING:
    from tunegate.data.diff.row_history import RowHistory, Step

_MARKS = {"both": ("", "", None), "before": ("[-", "-]", typer.colors.RED), "after": ("{+", "+}", typer.colors.GREEN)}


def why(
    row: Annotated[str, typer.Argument(metavar="ID", help="The row's id.")],
    data: Annotated[Path, typer.Option(help="The folder of the stages' outputs.")] = Path("data"),
    adapter: Annotated[Path, typer.Option(help="The output of `train`.")] = Path("models/adapter"),
    predictions: Annotated[Path, typer.Option(help="The answers of `evaluate`.")] = Path("models/predictions.parquet"),
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Tell what became of a row and why: its source, what each stage did to it, its split, its tokens, its answer."""
    from tunegate.data.diff.row_history import Paths, history_of

    outputs = [data / name for name in ("ingested", "validated", "prepared", "tokens")]
    history = history_of(row, Paths._make([*outputs, adapter, predictions]))
    typer.echo(visible(to_json(history.model_dump())) if as_json else _as_text(history), nl=False)


def _as_text(history: "RowHistory") -> str:
    licence = history.license or "none declared"
    head = [f"{history.id}: {history.outcome}", f"source   {history.source} (licence: {licence})"]
    lines = [line for step in history.steps for line in _step(step)]
    return "\n".join([*(visible(line, keep="") for line in head), *_text(history.text), "", *lines]) + "\n"


def _text(text: str) -> list[str]:
    return [f"{'text' if number == 0 else '':9}{visible(line)}" for number, line in enumerate(text.split("\n"))]


def _step(step: "Step") -> list[str]:
    details = [line for text in step.lines for line in visible(text).split("\n")]
    return [
        f"{step.stage:9}{visible(step.summary, keep='')}",
        *(f"{'':9}{line}" for line in [*details, *_changed(step)]),
    ]


def _changed(step: "Step") -> list[str]:
    parts = []
    for words in step.words:
        opened, closed, colour = _MARKS[words.side]
        parts.append(typer.style(f"{opened}{visible(words.text)}{closed}", fg=colour))
    return "".join(parts).split("\n") if parts else []
