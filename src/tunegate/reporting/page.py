"""The report as one self-contained HTML file: no script, no font, no image from elsewhere.

Renders a view with the templates beside this file. All text is escaped by default; only our own SVG is not.
"""

from tunegate.reporting.rendering import environment
from tunegate.reporting.view import Measured, view_of


def render(measured: Measured) -> str:
    """The HTML of reports/report.html."""
    template = environment().get_template("report.html.j2")
    return str(template.render(view=view_of(measured)))
