from tunegate.data.nearest import did_you_mean, listed


def test_the_nearest_name_is_offered_whatever_its_case() -> None:
    assert did_you_mean("labels", ["text", "Label"]) == "; did you mean 'Label'?"


def test_nothing_is_offered_when_nothing_is_near() -> None:
    assert did_you_mean("xyz", ["text", "label"]) == ""


def test_a_long_list_says_how_much_it_leaves_out() -> None:
    assert listed("abc") == "a, b, c"
    assert listed("abcde", 2) == "a, b and 3 more"
