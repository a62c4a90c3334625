"""The page of `tunegate data diff --html`: one file that asks no host for anything and runs no script.

Lays out tunegate.reporting.data_changes with the templates beside this file; all text is escaped but our own drawings.
"""

from tunegate.data.diff.result import DataDiff
from tunegate.reporting.data_changes import data_view
from tunegate.reporting.numbers import difference
from tunegate.reporting.rendering import environment
from tunegate.text import words


def render_data_page(diff: DataDiff) -> str:
    """The page's HTML."""
    template = environment().get_template("data_diff.html.j2")
    return str(template.render(data=data_view(diff), difference=difference, words=words, revision=_revision))


def _revision(name: str) -> str:
    return name if " " in name else name[:12]
