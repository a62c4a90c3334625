import pytest

from tunegate.data.sources.external_declaration import secret_of
from tunegate.errors import InputError


def test_a_secret_with_a_line_break_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "s3cret\nInjected: header")
    with pytest.raises(InputError, match="API_KEY has a line break") as error:
        secret_of("API_KEY", "a")
    assert "s3cret" not in str(error.value)
