from collections.abc import Iterator

import forge_stub
import pytest


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[forge_stub.Stub]:
    """A forge on a loopback port; nobody waits before the next try."""
    monkeypatch.setattr("tunegate.http.sleep", lambda _: None)
    with forge_stub.serve() as stub:
        yield stub
