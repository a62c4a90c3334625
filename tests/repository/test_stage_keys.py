from tunegate.repository.stage_keys import StageKey, differences, parse_key


def test_a_file_says_what_the_key_says() -> None:
    key = StageKey({"tunegate.a": "0" * 32, "tunegate.b.c": "1" * 32}, {"scipy": "1|2", "torch": "2.13.0"})
    read = parse_key(key.text("train"), place="x")
    assert (read, read.code, read.environment) == (key, key.code, key.environment)
    other = StageKey({"tunegate.a": "2" * 32, "tunegate.b.c": "1" * 32}, key.packages)
    assert (other.code == key.code, other.environment == key.environment) == (False, True)


def test_differences_name_modules_and_versions_by_kind() -> None:
    old = StageKey({"tunegate.a": "1", "tunegate.b": "1"}, {"torch": "1", "numpy": "2"})
    new = StageKey({"tunegate.a": "2", "tunegate.c": "1"}, {"torch": "2", "numpy": "2"})
    assert differences(old, new) == [
        ("code", "tunegate.a changed"),
        ("code", "tunegate.b is gone"),
        ("code", "tunegate.c is new"),
        ("environment", "torch 1 → 2"),
    ]
    assert differences(old, old) == []
