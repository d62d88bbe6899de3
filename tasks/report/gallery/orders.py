"""The orders in which a page can show its rows, by their names in the page's URL."""

from collections.abc import Iterable, Iterator

from tasks.report.varied import VariedSetting

SORTS = {
    "listed": "unfinished first",
    "line": "line",
    "loss-down": "highest loss first",
    "loss-up": "lowest loss first",
    "seconds-down": "slowest first",
    "seconds-up": "quickest first",
    "moved-down": "largest change of loss first",
}
"""The orders of rows on every page, by their names in the page's URL.

`list.js` reads the values by which it sorts from attributes of these names.
"""

SORTS_BY_SCORE = {
    "look-up": "look at these first",
    "style-score-up": "lowest style score first",
    "style-score-down": "highest style score first",
    "content-score-up": "lowest content score first",
    "content-score-down": "highest content score first",
}
"""The additional orders on a page with scores."""

SORT_BY_COST = {"cost-down": "slowest in full first"}
"""The additional order on the page of a preview."""


def orders(
    varied: Iterable[VariedSetting], *, has_scores: bool, is_preview: bool
) -> dict[str, str]:
    """Return the orders of a page, by their names in its URL, with what they are called.

    Args:
        varied: the settings that vary between the rows.
        has_scores: whether any row has scores.
        is_preview: whether the page shows previews.
    """
    first, *others = SORTS.items()
    by_score = SORTS_BY_SCORE if has_scores else {}
    by_cost = SORT_BY_COST if is_preview else {}
    by_setting = dict(pair for each in varied for pair in _by_setting(each))
    return dict([first]) | by_score | dict(others) | by_cost | by_setting


def _by_setting(varied: VariedSetting) -> Iterator[tuple[str, str]]:
    """Yield the orders of rows by a setting: their names in the page's URL, and for people."""
    numbers = {"up": "lowest first", "down": "highest first"}
    for way, text in (numbers if varied.is_number else {"up": "in order"}).items():
        yield f"setting.{varied.name}-{way}", f"{varied.label}, {text}"
