from pathlib import Path

import pytest

from tunegate.engines.gguf_header import read_header
from tunegate.errors import InputError


def test_strings_numbers_and_flags_are_read_and_arrays_passed_over(tiny_package: Path) -> None:
    header = read_header(tiny_package / "model.gguf")
    assert header["general.architecture"] == "llama"
    assert header["llama.block_count"] == 2
    assert header["tokenizer.ggml.add_bos_token"] is False
    assert "tokenizer.ggml.tokens" not in header


@pytest.mark.parametrize("length", [0, 3, 24, 100, 5000])
def test_a_file_that_is_cut_short_is_refused(tiny_package: Path, tmp_path: Path, length: int) -> None:
    (tmp_path / "cut").write_bytes((tiny_package / "model.gguf").read_bytes()[:length])
    with pytest.raises(InputError, match="cut short"):
        read_header(tmp_path / "cut")


def test_a_cut_within_the_last_text_is_noticed(tiny_package: Path, tmp_path: Path) -> None:
    content = (tiny_package / "model.gguf").read_bytes()
    end = content.index(b"tunegate.lineage_key") + len("tunegate.lineage_key") + 12 + 64
    (tmp_path / "cut").write_bytes(content[: end - 1])
    with pytest.raises(InputError, match="cut short"):
        read_header(tmp_path / "cut")


def test_another_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"PK\x03\x04" * 20)
    with pytest.raises(InputError, match="not a GGUF file"):
        read_header(tmp_path / "other")
