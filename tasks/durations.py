"""Texts that say when a run ends: a time, and a duration."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

from nst_core.errors import UserError

NUMBER = r"([0-9]+(?:\.[0-9]+)?)"
DURATION = re.compile(rf"(?:{NUMBER}h)?(?:{NUMBER}m)?(?:{NUMBER}s)?")
SECONDS = (3600, 60, 1)
LONGEST = 366 * 86_400
"""The longest duration, in seconds: a year."""

MOMENT = re.compile(
    r"(?:([0-9]{4}-[0-9]{2}-[0-9]{2})[T ])?([0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?) ?(\S+)?", re.ASCII
)
OFFSET = re.compile(r"([+-])([0-9]{2}):?([0-9]{2})")
MOST_DAYS = 3
"""The days that are searched for a time of day; it may be past today, and clocks may skip it."""


class TimeTextError(UserError):
    """A time or a duration that cannot be used; the message says what is expected."""


def seconds_of(text: str, option: str) -> float:
    """Return the seconds of a duration such as `5h`, `90m`, `1h30m` or `45s`.

    Args:
        text: the duration.
        option: the name of the option, for the error.

    Raises:
        TimeTextError: the text is no duration, or one that is not above 0 and at most a year.
    """
    found = DURATION.fullmatch("".join(text.lower().split()))
    numbers = [float(number or 0) for number in found.groups()] if found else [0.0]
    seconds = sum(map(float.__mul__, numbers, map(float, SECONDS)))
    if not 0 < seconds <= LONGEST:
        raise TimeTextError(
            f"--{option}: found {text!r}; expected a duration such as 5h, 90m, 1h30m or 45s, above "
            "0 and at most 8784h"
        )
    return seconds


def moment_of(text: str, after: float, option: str, *, may_be_past: bool = False) -> float:
    """Return the first moment after another one at which clocks show a time.

    If clocks show the time twice, as when summer time ends, each of the two counts. If they skip
    it, as when summer time begins, the moment is as much later as they skip.

    Args:
        text: a time of day, or a date and a time of day; then, if wanted, a time zone, such as
            `Europe/Berlin`, `+02:00` or `Z`. Without one, it is this machine's local time.
        after: seconds since 1970 (UTC).
        option: the name of the option, for the error.
        may_be_past: whether a time with a date may be before `after`, and is then returned.

    Returns:
        Seconds since 1970 (UTC).

    Raises:
        TimeTextError: the text is no time, its zone is unknown, or its date is past.
    """
    try:
        if not (found := MOMENT.fullmatch(text.strip())):
            raise ValueError
        day = date.fromisoformat(found[1]) if found[1] else None
        clock = time.fromisoformat(found[2].zfill(5 if found[2].count(":") == 1 else 8))
        zone = _zone(found[3], option)
        days = [day] if day else _days(after, zone)
        moments = [each for day in days for each in _moments(datetime.combine(day, clock), zone)]
    except (ValueError, OverflowError) as error:
        raise TimeTextError(
            f"--{option}: found {text!r}; expected a time such as 06:00, 06:00 Europe/Berlin, "
            "06:00+02:00 or 2026-11-27T06:00"
        ) from error
    if not (later := [moment for moment in moments if moment > after or (day and may_be_past)]):
        now = f"{datetime.fromtimestamp(after, zone):%Y-%m-%d %H:%M}"
        raise TimeTextError(
            f"--{option}: found {text!r}, which is past; expected a time after {now}, or a time of "
            "day without a date, which means the next such time"
        )
    return min(later)


def _zone(name: str | None, option: str) -> tzinfo | None:
    """Return a time zone; None for that of this machine."""
    if not name:
        return None
    if name in ("Z", "z"):
        return UTC
    if offset := OFFSET.fullmatch(name):
        hours, minutes = int(offset[2]), int(offset[3])
        if minutes > 59:
            raise ValueError(f"{minutes} minutes")
        size = timedelta(hours=hours, minutes=minutes)
        return timezone(-size if offset[1] == "-" else size)
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise TimeTextError(
            f"--{option}: found the time zone {name!r}; expected one such as Europe/Berlin, UTC or "
            "+02:00"
        ) from error


def _days(after: float, zone: tzinfo | None) -> Iterator[date]:
    """Yield the days that may have the next moment of a time of day."""
    today = datetime.fromtimestamp(after, zone).date()
    for number in range(MOST_DAYS):
        yield today + timedelta(days=number)


def _moments(shown: datetime, zone: tzinfo | None) -> list[float]:
    """Return the moments at which the clocks of a zone show a date and time."""
    both = sorted({shown.replace(tzinfo=zone, fold=fold).timestamp() for fold in (0, 1)})
    right = [
        moment
        for moment in both
        if datetime.fromtimestamp(moment, zone).replace(tzinfo=None, fold=0) == shown
    ]
    # If clocks skip the time, the later of the two counts on from before the skip.
    return right or both[-1:]
