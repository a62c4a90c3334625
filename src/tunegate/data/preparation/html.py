"""HTML taken out of texts: tags, scripts, styles and comments go, entities become the characters that they stand for.

What a browser shows as a new line is one afterwards. Text that only looks like a tag to people (`a < b`, `<3`) stays;
what looks like one to a browser (`List<int>`) goes: ask for it only where a source has HTML. What is in a script, or in
another element that nobody sees, goes where the element is closed. Reads and writes nothing.
"""

import re
from html.parser import HTMLParser
from typing import Any

_LINE = re.compile("address|article|blockquote|d[dlt]|div|h[1-6r]|li|ol|p|pre|section|t[dr]|table|ul")
_UNSEEN = frozenset(["script", "style", "template", "noscript", "head"])
_EMPTY_LINES = re.compile(r"[ \t]*\n[ \t]*(?:\n[ \t]*)+")

SCREEN = "<[A-Za-z!/?]|&[A-Za-z#]"
"""What every text with something to take out matches: RE2 syntax."""
_SCREEN = re.compile(SCREEN)


def strip_html(text: str) -> str:
    """`text` without HTML. Stripping twice may change more: `&amp;lt;` is `&lt;` afterwards."""
    if not _SCREEN.search(text):
        return text
    reader = _Reader()
    reader.feed(text)
    reader.close()
    if reader.rawdata:
        reader.read_on()
    return _EMPTY_LINES.sub("\n\n", "".join(reader.seen)).strip()


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.seen: list[str] = []
        self._inside: list[tuple[str, int]] = []
        self._raw = True

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        if tag in _UNSEEN:
            self._inside.append((tag, len(self.seen)))
        elif tag == "br":
            self.seen.append("\n")
        else:
            self._end_line(tag)

    def handle_endtag(self, tag: str) -> None:
        place = next((at for at in reversed(range(len(self._inside))) if self._inside[at][0] == tag), None)
        if place is None:
            self._end_line(tag)
        else:
            # Not before: what follows a tag that nothing closes was no script. `vector<template>` is C++.
            del self.seen[self._inside[place][1] :]
            del self._inside[place:]

    def handle_data(self, data: str) -> None:
        self.seen.append(data)

    def set_cdata_mode(self, elem: str, **more: Any) -> None:
        if self._raw:
            super().set_cdata_mode(elem, **more)

    def read_on(self) -> None:
        """Read what follows a script or style that nothing closes, which the parser keeps, as any other text."""
        rest, self.rawdata = self.rawdata, ""
        self._raw = False
        self.clear_cdata_mode()
        self.feed(rest)
        self.close()

    def _end_line(self, tag: str) -> None:
        if _LINE.fullmatch(tag) and self.seen and not self.seen[-1].endswith("\n"):
            self.seen.append("\n")
