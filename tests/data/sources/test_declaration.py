from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tunegate.data.sources.declaration import Source, load_sources
from tunegate.errors import TunegateError
from tunegate.params import parse

Refusal = Callable[..., TunegateError]
ROOT = Path(__file__).resolve().parents[3]


def test_the_default_project_declares_both_languages_of_each_pair() -> None:
    sources = load_sources(ROOT / "data/sources.yaml")
    assert [(s.name, s.license, s.row.slices["language"].from_) for s in sources] == [
        ("faq-en", "CC-BY-4.0", "en"),
        ("faq-sv", "CC-BY-4.0", "sv"),
    ]


@pytest.mark.parametrize(
    ("change", "place", "problem"),
    [
        ({"pth": "x"}, "sources[0].pth", "did you mean 'path'"),
        ({"name": "My data"}, "sources[0].name", "My data"),
        ({"path": "data/raw/../x.csv"}, "sources[0].path", "without '..' (got 'data/raw/../x.csv')"),
        ({"path": "/etc/x.csv"}, "sources[0].path", "a relative path"),
        (
            {"path": "data/raw/x.xlsx"},
            "sources[0].path",
            "ends with .csv, .json, .jsonl, .parquet, .txt, or one of them and .gz",
        ),
        ({"path": "data/raw/x.gz"}, "sources[0].path", "or one of them and .gz"),
        ({"path": "data/raw/x.parquet.gz"}, "sources[0].path", "its columns are compressed already"),
        (
            {"sql": {"url": "sqlite:///x.db", "table": "t", "key": "id"}},
            "sources[0]",
            "one of path, sql, rest or object",
        ),
        ({"row_per": "paragraph"}, "sources[0]", "row_per together with a path that ends with .txt"),
        ({"path": "data/raw/x.txt", "row_per": "line"}, "sources[0].row_per", "'file' or 'paragraph'"),
    ],
)
def test_a_fault_in_the_declaration_is_named_with_its_key(
    refusal: Refusal, change: dict[str, Any], place: str, problem: str
) -> None:
    error = refusal({"name": "mine", "path": "data/raw/x.csv"} | change)
    assert error.place.startswith(f"data/sources.yaml: {place}")
    assert problem in error.problem
    assert "docs/data.md" in error.remedy


def test_two_sources_of_one_name_are_refused(refusal: Refusal) -> None:
    error = refusal({"name": "a", "path": "data/raw/x.csv"}, {"name": "a", "path": "data/raw/y.csv"})
    assert (error.place, error.problem) == ("data/sources.yaml: sources[1].name", "the name 'a' is taken by sources[0]")


def test_a_source_without_a_kind_is_refused(refusal: Refusal) -> None:
    assert refusal({"name": "mine"}).problem == "must be one of path, sql, rest or object"
    assert refusal({"name": "mine", "package": "x"}).problem == "must be one of path, sql, rest or object"


def test_a_password_in_a_declaration_is_refused_and_never_shown(refusal: Refusal) -> None:
    for external in (
        {"sql": {"url": "postgresql://me:s3cret@localhost/x", "table": "t", "key": "id"}},
        {"rest": {"url": "https://example.org/x?api_key=s3cret", "key": "id"}},
        {"object": {"url": "ssh://me:s3cret@example.org/x/*.csv"}},
    ):
        error = refusal({"name": "mine"} | external)
        assert "password" in error.problem
        assert "s3cret" not in str(error)


OPTIONS = ("account_key", "connection_string", "sas", "sas_token", "private_key", "key", "secret", "AccountKey")


@pytest.mark.parametrize(
    "external",
    [
        *[{"object": {"url": "s3://b/*.csv", "options": {name: "s3cret"}}} for name in OPTIONS],
        {"object": {"url": "s3://b/*.csv", "options": {"endpoint_url": "https://s3cret@example.org"}}},
        {"object": {"url": "https://s3cret@example.org/x.csv"}},
        {"object": {"url": "simplecache::ftp://me:s3cret@example.org/x.csv"}},
        {"object": {"url": "az://b/x.csv?sv=1&sig=s3cret"}},
        *[
            {"rest": {"url": "https://example.org", "key": "id", "parameters": {n: "s3cret"}}}
            for n in ("key", "api-key")
        ],
        *[
            {"rest": {"url": f"https://{url}", "key": "id"}}
            for url in ("s3cret@e.org", "e.org?key=s3cret", "e.org?%73ig=s3cret")
        ],
    ],
)
def test_a_secret_by_any_of_its_names_is_refused_and_never_shown(refusal: Refusal, external: dict[str, object]) -> None:
    assert "s3cret" not in str(refusal({"name": "mine"} | external))


@pytest.mark.parametrize("url", ["ssh://me@example.org/x.csv", "abfs://box@account.dfs.example.org/x.csv"])
def test_an_account_or_container_before_the_host_is_no_secret(url: str) -> None:
    options = {"client_keys": "a", "key_filename": "b", "keyboard": "c", "endpoint_url": "https://example.org"}
    declared = {"name": "mine", "object": {"url": url, "options": options}}
    assert parse(Source, declared, place="test", remedy="").external is not None
    rest = {"url": "https://example.org/[v]", "key": "id", "parameters": {"sort_key": "at", "keyword": "roof"}}
    assert parse(Source, {"name": "mine", "rest": rest}, place="test", remedy="").external is not None
