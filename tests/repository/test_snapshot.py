from pathlib import Path

import pytest
from miniature import Miniature

from tunegate.errors import InputError
from tunegate.files import files_below
from tunegate.repository.outputs import open_outputs
from tunegate.repository.revisions import open_repository
from tunegate.repository.snapshot import Snapshot


def test_the_outputs_of_a_commit_are_read_without_touching_the_working_tree(miniature: Miniature) -> None:
    first = miniature.git("rev-parse", "HEAD")
    expected = {path.name: path.read_bytes() for path in files_below(miniature.root / "models/adapter")}
    miniature.change(train__learning_rate=0.5)
    miniature.commit("Another model")
    before = miniature.git("status", "--porcelain")
    with open_outputs(miniature.root) as outputs:
        snapshot = Snapshot(open_repository(miniature.root), first, outputs)
        shown = snapshot.output("models/adapter")
        assert {path.name: path.read_bytes() for path in files_below(shown)} == expected
        assert snapshot.params.train.learning_rate == 0.002
        assert Snapshot(snapshot.repository, None, outputs).params.train.learning_rate == 0.5
    assert miniature.git("status", "--porcelain") == before
    assert not list((miniature.root / ".tunegate").glob("outputs-*"))


def test_an_output_that_is_nowhere_is_an_error_with_a_remedy(miniature: Miniature) -> None:
    with open_outputs(miniature.root) as outputs:
        snapshot = Snapshot(open_repository(miniature.root), None, outputs)
        locked = snapshot.locked("models/predictions.parquet")
        assert locked
        (miniature.root / ".dvc/cache/files/md5" / locked.md5[:2] / locked.md5[2:]).unlink()
        with pytest.raises(InputError, match="no DVC remote is configured"):
            snapshot.output("models/predictions.parquet")


def test_a_damaged_cache_object_is_named(miniature: Miniature) -> None:
    with open_outputs(miniature.root) as outputs:
        snapshot = Snapshot(open_repository(miniature.root), None, outputs)
        locked = snapshot.locked("models/predictions.parquet")
        assert locked
        damaged = miniature.root / ".dvc/cache/files/md5" / locked.md5[:2] / locked.md5[2:]
        damaged.chmod(0o644)
        damaged.write_bytes(b"something else")
        with pytest.raises(InputError, match="damaged in DVC's cache"):
            snapshot.output("models/predictions.parquet")


def test_a_lost_output_comes_from_the_remote(miniature: Miniature, tmp_path: Path) -> None:
    miniature.run("dvc", "remote", "add", "-d", "store", str(tmp_path / "remote"), cwd=miniature.root)
    miniature.run("dvc", "push", "-q", cwd=miniature.root)
    miniature.run("rm", "-rf", ".dvc/cache/files", cwd=miniature.root)
    with open_outputs(miniature.root) as outputs:
        snapshot = Snapshot(open_repository(miniature.root), None, outputs)
        shown = snapshot.output("data/prepared")
        assert sorted(path.name for path in files_below(shown)) == [
            "ledger.json",
            "test.parquet",
            "train.parquet",
            "valid.parquet",
        ]
