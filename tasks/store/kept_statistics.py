"""What the scores need of styles, kept in the cache of style targets.

These files depend on neither content nor encoder, and have no records: each has a digest of its
own. If one is missing or damaged, it is computed again from the style's picture.
"""

import logging

from nst_core.scoring.style import StyleStatistics
from nst_core.storage.files import read_kept, write_atomic
from nst_core.storage.local import mark_used
from nst_core.storage.places import redacted
from tasks.store.style_cache import StyleCache

logger = logging.getLogger("nst_batch.scores")

MOST_BYTES = 1 << 20
"""The largest size of such a file; ours have a quarter of it."""


def kept_statistics(cache: StyleCache, key: str) -> StyleStatistics | None:
    """Return the statistics with a key; None if there are none that can be used."""
    path = cache.statistics(key)
    try:
        found = StyleStatistics.from_bytes(read_kept(path, MOST_BYTES))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        logger.warning("%s is not used, and computed again: %s", redacted(path), error)
        return None
    mark_used(path)
    return found


def keep_statistics(cache: StyleCache, key: str, statistics: StyleStatistics) -> None:
    """Keep statistics for later rows; this row has them already."""
    path = cache.statistics(key)
    try:
        write_atomic(path, statistics.to_bytes())
    except OSError as error:
        # Each row with this style then computes them again, which takes half a second.
        logger.info("%s cannot be written: %s", redacted(path), error.strerror)
