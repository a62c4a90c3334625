"""Where this machine takes Python packages from, so that an image build can take them from there too.

From pip's settings (environment and configuration files). They are mounted while the image is built and are never part
of the image or of a file in the project: an index address may carry a password.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

OWN_WHEELS = Path("requirements/wheels")
"""Where a project made by `tunegate init` keeps tunegate itself, when no index has it."""


@dataclass(frozen=True, slots=True)
class PackageSources:
    """An index, further indexes, folders of wheels, and the file of certificate authorities; as pip names them."""

    index: str | None = None
    extra: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    certificates: Path | None = None

    def uv_settings(self) -> str:
        """The text of a uv.toml."""
        indexes = [(self.index, True)] if self.index else []
        indexes += [(url, False) for url in self.extra]
        lines = [
            "no-cache = true",
            "native-tls = true",
            # pip looks at all indexes at once; with hashes in the lock, none can slip in another file.
            'index-strategy = "unsafe-best-match"',
            f"find-links = {json.dumps(list(self.links))}",
        ]
        for url, default in indexes:
            lines += ["[[index]]", f"url = {json.dumps(url)}", f"default = {json.dumps(default)}"]
        return "\n".join(lines) + "\n"

    def pip_settings(self) -> str:
        """The text of a pip.conf."""
        lines = ["[global]"]
        if self.index:
            lines.append(f"index-url = {self.index}")
        for key, values in (("extra-index-url", self.extra), ("find-links", self.links)):
            if values:
                lines.append(f"{key} =" + "".join(f"\n    {value}" for value in values))
        return "\n".join(lines) + "\n"

    def mounted(self, below: str) -> "tuple[PackageSources, dict[str, Path]]":
        """These sources as they are named where every local folder is mounted in `below`, and what to mount where.

        Of an index in `<folder>/simple` the folder is mounted, because its files usually lie beside `simple`.
        """
        mounts: dict[str, Path] = {}

        def renamed(source: str) -> str:
            path = _local(source)
            if path is None or not path.is_dir():
                return source
            root = path.parent if path.name == "simple" else path
            targets = {folder: target for target, folder in mounts.items()}
            target = targets.get(root, f"{below}/{len(mounts)}")
            mounts[target] = root
            inside = f"{target}/simple" if path.name == "simple" else target
            return f"file://{inside}" if source.startswith("file:") else inside

        index = renamed(self.index) if self.index else None
        extra, links = (tuple(map(renamed, sources)) for sources in (self.extra, self.links))
        return replace(self, index=index, extra=extra, links=links), mounts


def package_sources() -> PackageSources:
    """What pip would use here."""
    certificates = _setting("cert") or os.environ.get("SSL_CERT_FILE")
    path = Path(certificates) if certificates else None
    own = [str(OWN_WHEELS)] if OWN_WHEELS.is_dir() else []
    return PackageSources(
        index=_setting("index-url"),
        extra=tuple((_setting("extra-index-url") or "").split()),
        links=(*(_setting("find-links") or "").split(), *own),
        certificates=path if path and path.is_file() else None,
    )


def _setting(name: str) -> str | None:
    from_environment = os.environ.get("PIP_" + name.replace("-", "_").upper())
    if from_environment is not None:
        return from_environment or None
    command = [sys.executable, "-m", "pip", "config", "get"]
    for scope in ("install", "global"):
        done = subprocess.run([*command, f"{scope}.{name}"], capture_output=True, text=True, check=False)
        if done.returncode == 0 and done.stdout.strip():
            return done.stdout.strip()
    return None


def _local(source: str) -> Path | None:
    address = urlparse(source)
    if address.scheme == "file":
        return Path(url2pathname(address.path))
    return None if address.scheme else Path(source).absolute()
