"""The BentoML service: proves the package before the port opens, opens the engine, mounts the gateway at `/`.

Reads the package in TUNEGATE_PACKAGE, by default models/package of the working copy or of the bento. Its defaults are
this machine only (inside a container, whose ports are published on purpose: every interface), no access log, no
tracing of content.
"""

import os
import sys
from pathlib import Path
from typing import Any

import bentoml
from pydantic import JsonValue

from tunegate.engines.chat import Chat
from tunegate.engines.openvino import OpenVINOEngine
from tunegate.errors import TunegateError
from tunegate.models.manifest import Manifest, verify
from tunegate.repository.working_copy import UNVERSIONED, checkout
from tunegate.serving.gateway import Gateway

IMAGE = bentoml.images.Image(
    base_image=os.environ.get("TUNEGATE_BASE_IMAGE")
    or f"python:{sys.version_info.major}.{sys.version_info.minor}-slim",
    # No distribution: BentoML then adds neither a compiler nor git.
    distro="none",
)
"""How the container image starts; bentofile.yaml says what goes into it."""

CONTAINER = os.environ.get("BENTOML_CONTAINERIZED") == "true"

gateway = Gateway()


def package_folder(bento: Any) -> Path:
    """Where the package lies: in the bento that is served, else in the working copy."""
    chosen = os.environ.get("TUNEGATE_PACKAGE")
    if chosen:
        return Path(chosen)
    return (Path(bento.path) / "src" if bento else Path()) / "models" / "package"


def lineage_reply(manifest: Manifest, commit: str | None) -> dict[str, JsonValue]:
    """The reply of /v1/lineage."""
    return {
        "model": manifest.model,
        "lineage_key": manifest.lineage.key,
        "parts": manifest.lineage.parts.model_dump(),
        "base": manifest.base.model_dump(),
        "export": manifest.export,
        "metrics": manifest.metrics,
        "commit": commit,
    }


def commit_of(bento: Any) -> str | None:
    """The commit that was built: the bento's label, else the working copy's HEAD, else None."""
    if bento:
        return bento.info.labels.get("commit") or None
    state = checkout(Path())
    return None if state.commit == UNVERSIONED else state.commit + ("-dirty" if state.dirty else "")


@bentoml.service(
    name="tunegate",
    image=IMAGE,
    workers=1,
    http={"host": "0.0.0.0" if CONTAINER else "127.0.0.1"},  # noqa: S104
    traffic={"timeout": 3600},
    logging={"access": {"enabled": False}},
)
@bentoml.asgi_app(gateway.app, path="/")
class Service:
    """One package, one engine, one worker: the engine batches, and a second copy of the weights would not help."""

    @bentoml.on_deployment  # type: ignore[untyped-decorator]
    @staticmethod
    def prove() -> None:
        """Refuse to start, before the port is open, when the package is not what its manifest says."""
        try:
            verify(package_folder(_bento()))
        except TunegateError as error:
            print(error, file=sys.stderr)  # noqa: T201
            raise SystemExit(error.exit_code) from None

    def __init__(self) -> None:
        folder = package_folder(_bento())
        manifest = verify(folder)
        chat = Chat(folder)
        self._engine = OpenVINOEngine(folder, manifest, chat.eos_id)
        gateway.open(self._engine, chat, manifest.model, lineage_reply(manifest, commit_of(_bento())))

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    def close(self) -> None:
        """Stop the engine's thread."""
        self._engine.close()

    def __is_ready__(self) -> bool:
        """Answers /readyz."""
        return gateway.ready

    def __is_alive__(self) -> bool:
        """Answers /livez: an engine that has failed does not recover."""
        return gateway.ready


def _bento() -> Any:
    """The bento that is served, None in a working copy; BentoML knows it once it has loaded the service."""
    return getattr(Service, "bento", None)
