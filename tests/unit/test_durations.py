"""Texts that say when a run ends: times of day, dates and durations."""

import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.durations import LONGEST, TimeTextError, moment_of, seconds_of

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "UTC")


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let this machine be in Berlin."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield
    time.tzset()


def at(text: str) -> float:
    """Return the seconds since 1970 of a date and time with an offset."""
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *(("5h", 18_000), ("90m", 5400), ("1h30m", 5400), ("45s", 45), ("1.5h", 5400)),
        *((" 1H 30M 5s ", 5405), ("0h1s", 1), ("8784h", LONGEST), ("0.5s", 0.5)),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert seconds_of(text, "budget") == seconds


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "5", "h", "0s", "0h0m", "-5h", "5 hours", "30m1h", "1h1h", "8785h", "inf"),
        *("1e9h", "\u0663h", "5h;", "nan", "9" * 400 + "h"),
    ],
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(TimeTextError, match=r"^--row-budget: found .* expected a duration such as"):
        seconds_of(text, "row-budget")


@given(st.integers(0, 8000), st.integers(0, 59), st.integers(0, 59))
def test_a_written_duration_is_read_back(hours: int, minutes: int, seconds: int) -> None:
    total = 3600 * hours + 60 * minutes + seconds
    if total:
        assert seconds_of(f"{hours}h{minutes}m{seconds}s", "budget") == total


@pytest.mark.parametrize(
    ("text", "now", "moment"),
    [
        ("06:00", "2026-11-27T01:00+01:00", "2026-11-27T06:00+01:00"),
        ("6:00", "2026-11-27T01:00+01:00", "2026-11-27T06:00+01:00"),
        ("06:00:30", "2026-11-27T06:00+01:00", "2026-11-27T06:00:30+01:00"),
        ("06:00", "2026-11-27T06:00+01:00", "2026-11-28T06:00+01:00"),
        ("06:00", "2026-11-27T23:00+01:00", "2026-11-28T06:00+01:00"),
        ("00:30", "2026-12-31T23:00+01:00", "2027-01-01T00:30+01:00"),
        ("06:00 America/New_York", "2026-11-27T01:00+01:00", "2026-11-27T12:00+01:00"),
        ("20:00 America/New_York", "2026-11-27T01:00+01:00", "2026-11-27T02:00+01:00"),
        ("06:00+02:00", "2026-11-27T01:00+01:00", "2026-11-27T05:00+01:00"),
        ("06:00 -0330", "2026-11-27T01:00+01:00", "2026-11-27T10:30+01:00"),
        ("06:00Z", "2026-11-27T01:00+01:00", "2026-11-27T07:00+01:00"),
        ("06:00 UTC", "2026-11-27T01:00+01:00", "2026-11-27T07:00+01:00"),
        ("2026-11-30T06:00", "2026-11-27T01:00+01:00", "2026-11-30T06:00+01:00"),
        ("2026-07-01 06:00", "2026-03-01T01:00+01:00", "2026-07-01T06:00+02:00"),
        ("2026-11-30T06:00+00:00", "2026-11-27T01:00+01:00", "2026-11-30T07:00+01:00"),
        ("2026-11-30T06:00 Asia/Tokyo", "2026-11-27T01:00+01:00", "2026-11-29T22:00+01:00"),
        # The night in which summer time begins has an hour less, and skips 02:30.
        ("06:00", "2026-03-29T01:00+01:00", "2026-03-29T06:00+02:00"),
        ("02:30", "2026-03-29T01:00+01:00", "2026-03-29T03:30+02:00"),
        ("02:30", "2026-03-29T03:30+02:00", "2026-03-30T02:30+02:00"),
        ("03:00", "2026-03-29T01:59+01:00", "2026-03-29T03:00+02:00"),
        # The night in which it ends has an hour more, and 02:30 comes twice.
        ("06:00", "2026-10-25T01:00+02:00", "2026-10-25T06:00+01:00"),
        ("02:30", "2026-10-25T01:00+02:00", "2026-10-25T02:30+02:00"),
        ("02:30", "2026-10-25T02:45+02:00", "2026-10-25T02:30+01:00"),
        ("02:30", "2026-10-25T02:30+01:00", "2026-10-26T02:30+01:00"),
        ("2026-10-25T02:30", "2026-10-25T02:45+02:00", "2026-10-25T02:30+01:00"),
    ],
)
@pytest.mark.parametrize("is_named", [False, True])
@pytest.mark.usefixtures("berlin")
def test_the_next_moment(text: str, now: str, moment: str, is_named: bool) -> None:
    """A time without a zone is this machine's; it means the same if the zone is named."""
    has_zone = any(mark in text[11:] or mark in text[:9] for mark in ("+", "Z", " -", "/", "UTC"))
    named = text if has_zone or not is_named else f"{text} Europe/Berlin"
    assert moment_of(named, at(now), "until") == at(moment)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        *((text, "expected a time such as 06:00") for text in ("", "6", "6 Uhr", "24:01", "06:60")),
        ("2026-11-27", "expected a time such as 06:00"),
        ("2026-02-30T06:00", "expected a time such as 06:00"),
        ("06:00+25:00", "expected a time such as 06:00"),
        ("06:00+01:75", "expected a time such as 06:00"),
        ("9999-12-31T23:59-12:00", "expected a time such as 06:00"),
        ("06:00 Europe/Berin", "found the time zone 'Europe/Berin'; expected one such as"),
        ("06:00 ../etc/passwd", "found the time zone"),
        ("06:00 /etc/passwd", "found the time zone"),
        ("06:00 Europe", "found the time zone"),
        ("2026-11-26T23:59", "which is past; expected a time after 2026-11-27 01:00"),
        ("2026-11-27T01:00", "which is past"),
    ],
)
@pytest.mark.usefixtures("berlin")
def test_other_times_are_refused(text: str, message: str) -> None:
    with pytest.raises(TimeTextError) as raised:
        moment_of(text, at("2026-11-27T01:00+01:00"), "until")
    assert str(raised.value).startswith("--until: found ")
    assert message in str(raised.value)


@pytest.mark.usefixtures("berlin")
def test_a_past_date_may_be_allowed_and_a_time_of_day_is_still_the_next_one() -> None:
    now = at("2026-11-27T06:01+01:00")
    past = moment_of("2026-11-27T06:00", now, "until", may_be_past=True)
    assert past == at("2026-11-27T06:00+01:00")
    next_one = moment_of("06:00", now, "until", may_be_past=True)
    assert next_one == at("2026-11-28T06:00+01:00")


@given(
    st.floats(at("2026-01-01T00:00Z"), at("2030-01-01T00:00Z")),
    st.integers(0, 23),
    st.integers(0, 59),
    st.sampled_from(ZONES),
)
def test_clocks_show_the_time_at_its_next_moment(
    now: float, hour: int, minute: int, name: str
) -> None:
    zone, text = ZoneInfo(name), f"{hour:02}:{minute:02}"
    moment = moment_of(f"{text} {name}", now, "until")
    assert 0 < moment - now <= 25 * 3600
    shown = datetime.fromtimestamp(moment, zone)
    if f"{shown:%H:%M}" != text:
        # Clocks skip the time, at most an hour; before, they were that much behind.
        utc = datetime.fromtimestamp(moment, UTC)
        before = (utc - timedelta(hours=3)).astimezone(zone).utcoffset()
        assert before is not None
        assert f"{utc + before:%H:%M}" == text
    else:
        # No earlier moment shows it.
        minutes = range(int(now // 60) * 60 + 60, int(moment // 60) * 60, 60)
        assert all(f"{datetime.fromtimestamp(each, zone):%H:%M}" != text for each in minutes)


@given(st.text(max_size=30))
def test_any_text_is_a_time_and_a_duration_or_refused(text: str) -> None:
    for read in (lambda: moment_of(text, 1.8e9, "until"), lambda: seconds_of(text, "budget")):
        with suppress(TimeTextError):
            assert read() > 0
