import base64
import hashlib

import pytest
from jinja2 import UndefinedError

from tunegate.reporting.rendering import Ready, csp_hash, environment, source_of


def test_what_is_not_ready_is_escaped_and_a_name_that_is_missing_is_an_error() -> None:
    template = environment().from_string("{{ a }}{{ b }}")
    assert template.render(a="<i>", b=Ready("<b>")) == "&lt;i&gt;<b>"
    with pytest.raises(UndefinedError):
        template.render(a="only")


def test_the_hash_is_that_of_the_script_byte_for_byte() -> None:
    script = source_of("filter.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert csp_hash(script) == f"sha256-{digest}"
    assert csp_hash(script + " ") != csp_hash(script)
