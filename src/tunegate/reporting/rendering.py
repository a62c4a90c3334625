"""The reports' templates, opened one way: everything is escaped by default, a name that is missing is an error.

Templates are read from `templates/`.
"""

import base64
import hashlib
from collections.abc import Callable
from typing import Any


class Ready(str):
    """Text that a template writes as it is: its maker has escaped what is in it."""

    __slots__ = ()

    def __html__(self) -> str:
        return str(self)


def environment(finalize: Callable[[Any], Any] | None = None) -> Any:
    """A Jinja environment over `templates/`; `finalize` sees the value of every expression before it is written."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("tunegate.reporting"),
        autoescape=True,
        finalize=finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def source_of(name: str) -> str:
    """The text of a file in `templates/`."""
    loaded = environment()
    return str(loaded.loader.get_source(loaded, name)[0])


def csp_hash(script: str) -> str:
    """What a content security policy calls an inline script by."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
