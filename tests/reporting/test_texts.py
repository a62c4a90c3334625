from tunegate.reporting.texts import short, words


def test_a_cut_text_says_that_it_is_cut() -> None:
    assert (short("abc", 3), short("abcd", 3), words("not_in_test")) == ("abc", "ab…", "not in test")
