"""Where this machine takes Python packages from, said so that an image build can take them from there too.

Reads pip's settings (environment and configuration files). What it makes is mounted while the image is built and is
never part of the image or of a file in the project: an index address may carry a password. It does not know which
program builds the image.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname


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

    def folders(self) -> list[Path]:
        """The local folders among the sources; of an index in `<folder>/simple` the folder, where its files lie."""
        found = []
        for source in (self.index, *self.extra, *self.links):
            path = _local(source) if source else None
            if path is not None and path.is_dir():
                found.append(path.parent if path.name == "simple" else path)
        return sorted(set(found))


def package_sources() -> PackageSources:
    """What pip would use here."""
    certificates = _setting("cert") or os.environ.get("SSL_CERT_FILE")
    path = Path(certificates) if certificates else None
    return PackageSources(
        index=_setting("index-url"),
        extra=tuple((_setting("extra-index-url") or "").split()),
        links=tuple((_setting("find-links") or "").split()),
        certificates=path if path and path.is_file() else None,
    )


def _setting(name: str) -> str | None:
    from_environment = os.environ.get("PIP_" + name.replace("-", "_").upper())
    if from_environment is not None:
        return from_environment or None
    command = [sys.executable, "-m", "pip", "config", "get"]
    for scope in ("install", "global"):
        found = subprocess.run([*command, f"{scope}.{name}"], capture_output=True, text=True, check=False)
        if found.returncode == 0 and found.stdout.strip():
            return found.stdout.strip()
    return None


def _local(source: str) -> Path | None:
    address = urlparse(source)
    if address.scheme == "file":
        return Path(url2pathname(address.path))
    return None if address.scheme else Path(source).absolute()
