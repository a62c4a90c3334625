"""Pages of Great Expectations made inert: no script runs, nothing foreign is loaded, no value of a row acts as HTML.

Great Expectations writes the values of rows into its pages as they are, and loads scripts from other hosts. So a page
is written anew with the elements and attributes that a table of results needs. Reads and writes the HTML and CSS below
a folder. Does not know what the pages say.
"""

import html
import re
from html.parser import HTMLParser
from pathlib import Path

from tunegate.files import read_text, write_text

POLICY = "default-src 'none'; style-src 'self' file: 'unsafe-inline'; img-src 'self' file:; font-src 'self' file:"
"""For the browser, should anything slip through: what is not named here is neither run nor loaded."""
_ELEMENTS = frozenset(
    re.findall(
        r"\w+",
        "html head body title div span p a b i em strong small code pre br hr ul ol li h1 h2 h3 h4 h5 h6 nav main "
        "section header footer table thead tbody tfoot tr th td caption colgroup col img link style",
    )
)
_DROPPED = {"script", "noscript", "template", "iframe", "object", "svg", "math", "textarea", "select"}
_EMPTY = {"br", "hr", "col", "img", "link"}
_ATTRIBUTES = {"class", "id", "style", "title", "rel", "colspan", "rowspan", "scope", "alt", "lang"}
_REFERENCES = {"href", "src"}
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|[/\\]", re.IGNORECASE)
_FOREIGN = re.compile(r"@import[^;]*;|url\(\s*['\"]?(?:[a-z]+:)?//[^)]*\)", re.IGNORECASE)


def make_inert(folder: Path) -> None:
    """Write every page and style sheet below `folder` anew, without what could act or load."""
    for path in sorted(folder.rglob("*.html")):
        write_text(path, inert(read_text(path)))
    for path in sorted(folder.rglob("*.css")):
        write_text(path, _FOREIGN.sub("none", read_text(path)))


def inert(page: str) -> str:
    """The HTML `page` with known elements and attributes alone, and a policy that forbids the rest."""
    writer = _Writer()
    writer.feed(page)
    writer.close()
    return "<!DOCTYPE html>\n" + "".join(writer.parts)


class _Writer(HTMLParser):
    """Writes what is known, and leaves out the rest."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._dropping: list[str] = []
        self._in_body = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Write a start tag that is known."""
        if tag in _DROPPED or (tag == "style" and self._in_body):
            self._dropping.append(tag)
        elif not self._dropping and tag in _ELEMENTS:
            self._open(tag, attrs)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """The same for one that ends at once; what is dropped does not begin."""
        if tag not in _DROPPED:
            self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        """Write an end tag."""
        if self._dropping:
            if tag == self._dropping[-1]:
                self._dropping.pop()
        elif tag in _ELEMENTS - _EMPTY:
            self.parts.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        """Write a text; that of a style as it is, since nothing in a row is in the head."""
        if not self._dropping:
            is_style = self.cdata_elem == "style"
            self.parts.append(_FOREIGN.sub("none", data) if is_style else html.escape(data, quote=False))

    def _open(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        kept = {name: value or "" for name, value in attrs if _is_kept(name, value or "")}
        if tag in ("img", "link") and not _REFERENCES & set(kept):
            return
        self._in_body |= tag == "body"
        self.parts.append(f"<{tag}" + "".join(f' {name}="{html.escape(value)}"' for name, value in kept.items()) + ">")
        if tag == "head":
            meta = f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{html.escape(POLICY)}">'
            self.parts.append(meta)


def _is_kept(name: str, value: str) -> bool:
    if name in _REFERENCES:
        return not _ELSEWHERE.match("".join(value.split()))
    # A function in a style may load something, and an escape may hide a function.
    return name in _ATTRIBUTES and not (name == "style" and ("(" in value or "\\" in value))
