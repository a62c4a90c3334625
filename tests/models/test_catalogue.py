from pathlib import Path

import pytest

from tunegate.errors import InputError, RefusedError
from tunegate.files import write_yaml
from tunegate.models.catalogue import find_entry

ENTRY = {"license": "MIT", "source": {"kind": "folder", "path": "x", "files": {"model.safetensors": "0" * 64}}}


def catalogue(tmp_path: Path, **changes: object) -> Path:
    path = tmp_path / "catalog.yaml"
    write_yaml(path, {"models": {"tiny": ENTRY | changes}})
    return path


def test_an_entry_is_found_by_name(tmp_path: Path) -> None:
    assert find_entry(catalogue(tmp_path), "tiny", ("MIT",)).license == "MIT"


def test_an_unknown_model_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="did you mean 'tiny'"):
        find_entry(catalogue(tmp_path), "tinny", ("MIT",))


def test_a_licence_off_the_list_is_refused_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="'Proprietary' is not allowed") as caught:
        find_entry(catalogue(tmp_path, license="Proprietary"), "tiny", ("MIT",))
    assert caught.value.place.endswith("models.tiny.license")
    assert "base.allowed_licenses" in caught.value.remedy


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ({"kind": "hub", "repository": "a/b", "revision": "main", "files": {"x": "0" * 64}}, "revision"),
        ({"kind": "folder", "path": "x", "files": {}}, "files"),
        ({"kind": "folder", "path": "x", "files": {"x": "abc"}}, "files"),
        ({"kind": "ftp", "path": "x", "files": {"x": "0" * 64}}, "source"),
    ],
)
def test_a_source_that_could_change_unnoticed_is_refused(tmp_path: Path, source: dict[str, object], place: str) -> None:
    with pytest.raises(InputError) as caught:
        find_entry(catalogue(tmp_path, source=source), "tiny", ("MIT",))
    assert place in caught.value.place
