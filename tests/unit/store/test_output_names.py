"""One rule for the names of results, chosen by users or generated."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.store.output_names import (
    OutputError,
    Unnamed,
    as_one_file,
    checked_output,
    choose_outputs,
    nearest_output,
)
from tests.fuzzing import ODD_TEXTS, fuzz

PERSIAN = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"
NAMES = ODD_TEXTS.filter(lambda text: text not in ("", ".", "..") and "/" not in text)
PATHS = st.lists(NAMES | st.just("x" * 180), min_size=1, max_size=8).map("/".join)


@pytest.mark.parametrize(
    ("text", "output"),
    [
        (PERSIAN, f"{PERSIAN}.png"),
        ("क\u094d\u200dष", "क\u094d\u200dष.png"),
        ("👩\u200d🎨", "👩\u200d🎨.png"),
        ("\U0001fae8", "\U0001fae8.png"),
        ("2024-01-02 10:11:12", "2024-01-02 10:11:12.png"),
        ("day/10:11:12.PNG", "day/10:11:12.png"),
        ("写真\u3000一", "写真\u3000一.png"),
        ("9\u202f41\u00a0AM", "9\u202f41\u00a0AM.png"),
        ("Cafe\u0301", "Caf\u00e9.png"),
        ("night\\one", "night/one.png"),
        ("a..", "a...png"),
        ("folder//b@2x", "folder/b@2x.png"),
        ("b" * 200, "b" * 200 + ".png"),
    ],
)
def test_usual_names_are_accepted(text: str, output: str) -> None:
    assert checked_output(text) == output
    assert checked_output(output) == output


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\x1b[2J", r"without the character '\x1b'"),
        ("a\nb", r"without the character '\n'"),
        ("a\u2028b", r"without the character '\u2028'"),
        ("gnp.\u202eexe", r"without the character '\u202e'"),
        ("na\udce9ve", r"without the character '\udce9'"),
        ("C:/a", "a relative path"),
        ("c:", "a relative path"),
        ("s3://me:hush@a", "not a URL"),
        ("s3:\\\\me:hush@a", "not a URL"),
        ("a//me:hush@a", "not a URL"),
        ("b" * 201, "at most 200 bytes"),
        ("a/" * 500 + "b", "at most 1000 bytes in all"),
        ("a.BMP", "or one without an extension"),
    ],
)
def test_impossible_names_are_refused(text: str, message: str) -> None:
    with pytest.raises(OutputError) as refused:
        checked_output(text)
    assert message in str(refused.value)
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "output"),
    [
        ("Screenshot 10:11:12.png", "Screenshot 10:11:12_s.png"),
        (" lead.png", "lead_s.png"),
        ("nbsp\u00a0.png", "nbsp_s.png"),
        ("two\nlines\r.png", "two_lines__s.png"),
        ("back\\slash.png", "back_slash_s.png"),
        ("right\u202eleft.png", "right_left_s.png"),
        (f"{PERSIAN}.png", f"{PERSIAN}_s.png"),
        ("Cafe\u0301.jpg", "Caf\u00e9_s.png"),
        ("latin\udce9.png", "latin__s.png"),
        ("c" * 300, "c" * 80 + "_s.png"),
    ],
)
def test_names_are_generated_from_content_and_style(content: str, output: str) -> None:
    (made,) = choose_outputs([Unnamed(content, ("s.png",), "0" * 64)], ())
    assert made == output == checked_output(made)


@fuzz(300)
@given(NAMES, NAMES, st.sampled_from((0, 6, 12, 32)))
def test_generated_names_follow_the_rule(content: str, style: str, digits: int) -> None:
    made = Unnamed(content, (style,), "0123456789abcdef" * 4).output(digits)
    assert checked_output(made) == made == made.strip()
    assert nearest_output(made) == made


@fuzz(500)
@given(PATHS)
def test_any_path_of_a_picture_has_a_nearest_output(path: str) -> None:
    output = nearest_output(path)
    assert checked_output(output) == output == output.strip()
    assert nearest_output(output) == output


@fuzz(500)
@given(PATHS)
def test_an_output_is_its_own_nearest_output(path: str) -> None:
    try:
        output = checked_output(path.strip())
    except OutputError:
        return
    assert checked_output(output) == output
    assert nearest_output(output) == output
    assert unicodedata.is_normalized("NFC", output)


@fuzz(100)
@given(
    st.lists(st.tuples(st.sampled_from("aAb"), st.integers(0, 30)), unique=True, max_size=30),
    st.sets(st.sampled_from(["a_s.png", "b_s.png", "a_s_000000.png"])),
)
def test_no_two_results_share_a_file(named: list[tuple[str, int]], taken: set[str]) -> None:
    # Many of the digests begin alike.
    rows = [
        Unnamed(name, ("s",), f"{number // 8:06x}{number:024x}{ord(name):x}" + "0" * 32)
        for name, number in named
    ]
    chosen = choose_outputs(rows, taken)
    assert len({*map(as_one_file, chosen), *taken}) == len(rows) + len(taken)
    assert choose_outputs(rows[::-1], taken) == chosen[::-1]


def test_names_that_macos_takes_for_one_file_are_equal() -> None:
    one = {as_one_file(name) for name in ("É.png", "e\u0301.PNG", "é.png", "E\u0301.png")}
    assert len(one) == 1
    assert as_one_file("STRASSE") == as_one_file("straße")
