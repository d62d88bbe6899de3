"""`nst-batch cache`: the options of its commands, which are imported when they run."""

from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from flows.cli.examples import show_examples
from flows.cli.options import NUMBER, Cache, Flag, Json
from flows.cli.terminal import Terminal
from nst_core.storage.files import user_cache
from nst_core.storage.places import Place

cache_app = App(name="cache", help="List and remove cached style targets.")

if TYPE_CHECKING:
    from tasks.store.style_cache import StyleCache


def _cache(named: Place | None) -> "StyleCache":
    from tasks.store.style_cache import StyleCache

    return StyleCache(named or user_cache())


@cache_app.command(name="list")
def list_cache(*, cache: Cache = None, json: Json = False) -> int:
    """List the cached style targets, and show whether each is complete."""
    from flows.cli.commands.cache import list_styles

    return list_styles(Terminal(as_json=json), _cache(cache))


@cache_app.command
def prune(
    *,
    cache: Cache = None,
    older_than: Annotated[
        float,
        Parameter(
            help="remove targets unused for this many days",
            show_default="{:g}".format,
            metavar=NUMBER,
        ),
    ] = 90.0,
    dry_run: Annotated[bool, Flag] = False,
    json: Json = False,
) -> int:
    """Remove old and damaged style targets; rows that need them will compute them again.

    Args:
        dry_run: only show what would be removed
    """
    from flows.cli.commands.cache import prune as prune_cache

    terminal = Terminal(as_json=json)
    return prune_cache(terminal, _cache(cache), older_than, dry_run=dry_run)


show_examples(cache_app)
