from collections.abc import Iterator

import forge_stub
import pytest


@pytest.fixture
def stub() -> Iterator[forge_stub.Stub]:
    """A forge on a loopback port."""
    with forge_stub.serve() as stub:
        yield stub


@pytest.fixture
def pauses() -> list[float]:
    """Where a client notes its pauses instead of making them: `pause=pauses.append`."""
    return []
