"""HTML taken out of texts: tags, scripts, styles and comments go, entities become the characters that they stand for.

What a browser shows as a new line is one afterwards. Text that only looks like a tag to people (`a < b`, `<3`) stays;
what looks like one to a browser (`List<int>`) goes: enable it only where a source has HTML. The content of a script, or
of another element that nobody sees, goes where the element is closed.
"""

import re

_UNSEEN = ("script", "style", "template", "noscript", "head")
_BLOCKS = "address, article, blockquote, dd, dl, dt, div, h1, h2, h3, h4, h5, h6, hr, li, ol, p, pre, section, ul"
_CELL = re.compile(r"</?(?:td|th|tr|table|tbody|thead|tfoot|caption|col|colgroup)\b[^<>]{0,1000}>", re.IGNORECASE)
_BREAK = "\ufdd0"  # never a character of a text
_BREAKS = re.compile(f"\n?{_BREAK}+")
_EMPTY_LINES = re.compile(r"[ \t]*\n[ \t]*(?:\n[ \t]*)+")

SCREEN = "<[A-Za-z!/?]|&[A-Za-z#]"
"""What every text with something to take out matches: RE2 syntax."""
_SCREEN = re.compile(SCREEN)


def strip_html(text: str) -> str:
    """`text` without HTML. Stripping twice may change more: `&amp;lt;` is `&lt;` afterwards."""
    from selectolax.lexbor import LexborHTMLParser

    if not _SCREEN.search(text):
        return text
    for tag in _UNSEEN:
        text = _without_unclosed(text, tag)
    # A tag without its `>` is text: a parser of HTML 5 would drop all that follows.
    tags = text.rfind(">") + 1
    text = text[:tags] + text[tags:].replace("<", "&lt;")
    # Outside of a table it drops the tags of cells, and inside of one it moves other text.
    tree = LexborHTMLParser(_CELL.sub("<div>", text))
    tree.strip_tags(list(_UNSEEN), recursive=True)
    for node in tree.css("br"):
        node.replace_with("\n")
    for node in tree.css(_BLOCKS):
        node.insert_before(_BREAK)
        node.insert_after(_BREAK)
    plain = tree.root.text() if tree.root else ""
    return _EMPTY_LINES.sub("\n\n", _BREAKS.sub("\n", plain)).strip()


def _without_unclosed(text: str, tag: str) -> str:
    """`text` without the start tags of `tag` that nothing closes: `vector<template>` is C++, what follows is text."""
    closed = text.lower().rfind(f"</{tag}")
    return text[: closed + 1] + re.sub(rf"<{tag}\b[^<>]*>", "", text[closed + 1 :], flags=re.IGNORECASE)
