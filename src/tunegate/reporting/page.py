"""The report as one self-contained HTML file: no script, no font, no image from elsewhere.

Renders a view with the templates beside this file. All text is escaped by default; only our own SVG is not.
"""

from typing import Any

from tunegate.reporting.view import Measured, view_of


def render(measured: Measured) -> str:
    """The HTML of reports/report.html."""
    template = _environment().get_template("report.html.j2")
    return str(template.render(view=view_of(measured)))


def _environment() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("tunegate.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
