"""`tunegate data refresh`: new snapshots of the external sources; the only command that connects to them.

Reads sources.yaml and what it names; writes data/raw and DVC's cache. Says what a commit of it would change.
"""

import dataclasses
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunegate.errors import UsageError
from tunegate.text import did_you_mean, listed, visible

EPILOG = "Example: tunegate data refresh tickets --dry-run"

if TYPE_CHECKING:
    from tunegate.data.refresh.refresh import Outcome, RefreshOptions
    from tunegate.data.sources.declaration import Source


def refresh(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[SOURCE]...", help="Default: all external ones.")
    ] = None,
    sources: Annotated[Path, typer.Option(help="Declares them; `raw` beside it has the snapshots.")] = Path(
        "data/sources.yaml"
    ),
    full: Annotated[bool, typer.Option("--full", help="Read everything again, whatever the cursor.")] = False,
    allow_empty: Annotated[bool, typer.Option("--allow-empty", help="Accept a source without rows.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change; write nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Take new snapshots of databases, APIs and object stores into data/raw, and say what a commit would change."""
    from tunegate.data.compute.database import budget
    from tunegate.data.refresh.refresh import RefreshOptions
    from tunegate.data.sources.declaration import load_sources, snapshot_of
    from tunegate.files import to_json
    from tunegate.params import Compute
    from tunegate.repository.tracked_files import check_can_add

    raw = sources.parent / "raw"
    chosen = _chosen(load_sources(sources), names or [], sources)
    for source in chosen:
        check_can_add(Path(), snapshot_of(source, raw))
    options = RefreshOptions(full=full, allow_empty=allow_empty, dry_run=dry_run, memory=budget(Compute()))
    done: list[Outcome] = []
    try:
        for source in chosen:
            done.append(_one(source, raw, f"{sources}: {source.name}", options))
            if not as_json:
                print(_as_text(done[-1], dry_run=dry_run))
    finally:
        # Also where a later source fails: these snapshots are in place.
        if as_json:
            print(visible(to_json([dataclasses.asdict(outcome) for outcome in done])), end="")


def _chosen(sources: "tuple[Source, ...]", names: list[str], place: Path) -> "list[Source]":
    external = {source.name: source for source in sources if source.external}
    unknown = next((name for name in names if name not in external), None)
    if unknown is not None:
        problem = f"no external source is named {unknown!r}{did_you_mean(unknown, external)}"
        raise UsageError(problem, place=str(place), remedy=f"name some of: {', '.join(external) or 'none is declared'}")
    if not external:
        remedy = "docs/refresh.md shows how to declare a database, an API or an object store"
        raise UsageError("no external source is declared", place=str(place), remedy=remedy)
    return [source for name, source in external.items() if not names or name in names]


def _one(source: "Source", raw: Path, place: str, options: "RefreshOptions") -> "Outcome":
    from tqdm import tqdm

    from tunegate.data.refresh.refresh import refresh as refresh_one

    # Without a terminal there is no bar.
    with tqdm(desc=source.name, unit=" rows", disable=None, leave=False) as bar:
        return refresh_one(source, raw, place, dataclasses.replace(options, on_rows=bar.update))


def _as_text(outcome: "Outcome", *, dry_run: bool) -> str:
    changes = outcome.changes
    repeated = outcome.received - changes.fetched
    notes = [
        f"{outcome.received} rows received",
        *([f"{repeated} of them repeated"] if repeated else []),
        *(["the snapshot of an earlier refresh that was stopped was put into place"] if outcome.finished else []),
        *([f"{outcome.resumed} of them by an earlier refresh that was stopped"] if outcome.resumed else []),
    ]
    if not outcome.changed:
        return f"{outcome.source}: unchanged, {changes.rows} rows ({'; '.join(notes)})"
    counts = f"{changes.added} rows added, {changes.edited} edited, {changes.removed} removed"
    lines = [f"{outcome.source}: {counts}; now {changes.rows} rows, {outcome.size} bytes ({'; '.join(notes)})"]
    for what, keys in changes.examples.items():
        shown = listed([visible(key, keep="") for key in keys], len(keys), count=getattr(changes, what))
        lines.append(f"  {what}: {shown}")
    if dry_run:
        return "\n".join([*lines, "nothing was written: --dry-run"])
    return "\n".join([*lines, f"to commit it: git add {shlex.join(outcome.git_add)}"])
