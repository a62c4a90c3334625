"""The reports' templates, opened one way: everything is escaped by default, a name that is missing is an error.

Reads the templates beside this file. Does not know what they show.
"""

import base64
import hashlib
from typing import Any


def environment(*, autoescape: bool = True) -> Any:
    """A Jinja environment over `templates/`."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("tunegate.reporting"),
        autoescape=autoescape,
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
