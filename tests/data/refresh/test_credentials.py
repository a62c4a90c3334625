import pytest

from tunegate.data.refresh.credentials import scrubbed, secret_of
from tunegate.errors import InputError


def test_a_secret_is_scrubbed_in_every_form_and_so_is_any_password_in_a_url() -> None:
    said = scrubbed("no: p@ss/1 p%40ss%2F1 mysql://reader:pw@host/db, http://:pw@h\nmore", ["p@ss/1", ""])
    assert said == "no: *** *** mysql://***@host/db, http://***@h"


def test_a_secret_with_a_line_break_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "s3cret\nInjected: header")
    with pytest.raises(InputError, match="API_KEY has a line break") as caught:
        secret_of("API_KEY", "a")
    assert "s3cret" not in str(caught.value)
