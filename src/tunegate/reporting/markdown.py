"""Text in a comment on a forge: what comes from data cannot end a table or a code span, link, or call a person.

Pure functions from text to Markdown as GitHub and GitLab read it. A zero-width space breaks what they would turn into
a mention, a reference or a link; everything else is escaped and reads as it was.
"""

import html
import re

from markupsafe import Markup

_GAP = "\N{ZERO WIDTH SPACE}"
_SPACE = re.compile(r"[\s\x00-\x1f\x7f]+")
# Marks that turn the direction of what follows could show a reader another text than the one that is there.
_DIRECTION = re.compile("[\u202a-\u202e\u2066-\u2069]")
_REFERENCE = re.compile(r"([@#!~%^&$])(?=[\w\"{\[])|(?<=\w)(:)(?=//)|(?<=www)(\.)|(:)(?=[\w+-]+:)", re.IGNORECASE)
_SPECIAL = re.compile(r"([\\`*_{}\[\]|~$])")
_COMMAND = re.compile(r"`((?:tunegate|dvc|git|make) [\w ./=-]+)`")


def escape(text: str) -> str:
    """The text on one line, to be read as it is; a space at its ends stays."""
    plain = _REFERENCE.sub(lambda match: match.group(0) + _GAP, _one_line(text))
    return _SPECIAL.sub(r"\\\1", html.escape(plain, quote=False))


def code(text: str) -> str:
    """The text as code, on one line; a text with a pipe is escaped instead, since code in a table cannot hold one."""
    plain = _one_line(text).strip()
    if "|" in plain:
        return escape(plain)
    fence = "`" * (max(map(len, re.findall("`+", plain)), default=0) + 1)
    air = " " if "`" in plain or not plain else ""
    return f"{fence}{air}{plain}{air}{fence}"


def prose(text: str) -> str:
    """A sentence of ours, with data in it: commands in backticks stay code, the rest is escaped."""
    parts = _COMMAND.split(text)
    return "".join(code(part) if number % 2 else escape(part) for number, part in enumerate(parts))


def prose_html(text: str) -> Markup:
    """The same for a page."""
    parts = _COMMAND.split(text)
    return Markup("").join(Markup("<code>{}</code>").format(p) if n % 2 else p for n, p in enumerate(parts))


def _one_line(text: str) -> str:
    return _DIRECTION.sub("\N{REPLACEMENT CHARACTER}", _SPACE.sub(" ", text))
