"""`tunegate data`: where rows come from, what became of them, and what a change of them means. One module per verb."""

import typer

from tunegate.cli.data import diff, freeze, ledger, refresh, suggest, why

app = typer.Typer(
    help="Where rows come from, what became of them, what a change of them means.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.command("diff", epilog="Example: tunegate data diff --base origin/main --html diff.html")(diff.diff)
app.command("freeze", epilog="Example: tunegate data freeze && git add data/frozen")(freeze.freeze)
app.command("refresh", epilog="Example: tunegate data refresh tickets --dry-run")(refresh.refresh)
app.command("ledger", epilog="Example: tunegate data ledger --by reason")(ledger.ledger)
app.command("suggest", epilog="Example: tunegate data suggest --output data/expectations/tickets.json")(suggest.suggest)
app.command("why", epilog="Example: tunegate data why bygglov-001-sv")(why.why)


@app.callback()
def _noun() -> None:
    """Where rows come from, what became of them, what a change of them means."""
