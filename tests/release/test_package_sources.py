from pathlib import Path

import pytest

from tunegate.release.package_sources import PackageSources, package_sources


@pytest.fixture
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A working folder in which pip has no settings of its own."""
    for name in ("INDEX_URL", "EXTRA_INDEX_URL", "FIND_LINKS", "CERT"):
        monkeypatch.setenv(f"PIP_{name}", "")
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_pip_s_settings_and_the_project_s_own_wheels_are_found(
    no_settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (no_settings / "requirements/wheels").mkdir(parents=True)
    (no_settings / "ca.crt").touch()
    monkeypatch.setenv("PIP_INDEX_URL", "https://user:s3cret@index.test/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "https://one.test https://two.test")
    monkeypatch.setenv("PIP_CERT", "ca.crt")
    assert package_sources() == PackageSources(
        index="https://user:s3cret@index.test/simple",
        extra=("https://one.test", "https://two.test"),
        links=("requirements/wheels",),
        certificates=Path("ca.crt"),
    )


def test_local_folders_are_mounted_once_and_named_by_their_mount(tmp_path: Path) -> None:
    simple, wheels = tmp_path / "mirror" / "simple", tmp_path / "wheels"
    simple.mkdir(parents=True)
    wheels.mkdir()
    sources = PackageSources(index=simple.as_uri(), extra=("https://one.test",), links=(str(wheels), str(wheels)))
    inside, mounts = sources.mounted("/run/packages")
    assert mounts == {"/run/packages/0": tmp_path / "mirror", "/run/packages/1": wheels}
    assert inside.index == "file:///run/packages/0/simple"
    assert (inside.extra, inside.links) == (("https://one.test",), ("/run/packages/1", "/run/packages/1"))


def test_both_installers_get_the_same_indexes() -> None:
    sources = PackageSources(index="https://one.test", extra=("https://two.test",), links=("/wheels",))
    uv, pip = sources.uv_settings(), sources.pip_settings()
    assert 'url = "https://one.test"\ndefault = true' in uv
    assert 'url = "https://two.test"\ndefault = false' in uv
    assert "index-url = https://one.test" in pip
    assert "extra-index-url =\n    https://two.test" in pip
    assert all("/wheels" in text for text in (uv, pip))
