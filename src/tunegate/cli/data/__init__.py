"""`tunegate data`: where rows come from, what became of them, and what a change of them means. One module per verb."""

from tunegate.cli.lazy import lazy_app

_HELP = "Where rows come from, what became of them, what a change of them means."

app = lazy_app(
    "tunegate.cli.data",
    {
        "refresh": "Take new snapshots of databases, APIs and object stores.",
        "suggest": "Suggest expectations from a profile of the rows.",
        "ledger": "How many rows each stage received, dropped and kept.",
        "why": "What every stage did to one row.",
        "diff": "What changed in the data between two commits.",
        "freeze": "Freeze the test set as it is.",
    },
    help=_HELP,
)


@app.callback(help=_HELP)
def _noun() -> None:
    pass
