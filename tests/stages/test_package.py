from pathlib import Path

import pytest

from tunegate.errors import RefusedError
from tunegate.files import read_json, sha256_of_tree, write_json
from tunegate.models.manifest import verify
from tunegate.stages import package

ARGUMENTS = ("params.yaml", "base", "adapter", "tokens", "metrics.json", "package")


@pytest.fixture
def measured(trained: Path) -> str:
    """What the stage `package` reads, as the working directory; the key of its lineage."""
    key = str(read_json(Path("adapter/lineage.json"))["key"])
    write_json(Path("metrics.json"), {"lineage": key, "rows": 6, "base": {"accuracy": 0.0}, "tuned": {"accuracy": 1.0}})
    return key


def test_a_package_holds_to_its_manifest_and_names_its_lineage(
    measured: str, capsys: pytest.CaptureFixture[str]
) -> None:
    package.main(*ARGUMENTS)
    manifest = verify(Path("package"))
    assert (manifest.lineage.key, manifest.export) == (measured, "f16")
    assert 0 < manifest.merge_check["difference"] < 0.001
    assert f"{manifest.merge_check['difference']:.1e}" in capsys.readouterr().out


def test_metrics_of_another_adapter_leave_the_package_as_it_was(measured: str) -> None:
    package.main(*ARGUMENTS)
    before = sha256_of_tree(Path("package"))
    write_json(Path("metrics.json"), read_json(Path("metrics.json")) | {"lineage": "0" * 64})
    with pytest.raises(RefusedError, match="the metrics are of lineage 000000000000"):
        package.main(*ARGUMENTS)
    assert sha256_of_tree(Path("package")) == before
    assert not list(Path().glob(".package*"))
