"""The settings of version 0.1.0, and which of the later ones have their default."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel

FIRST_SETTINGS = frozenset(
    {
        *("size", "enlarge", "style_scale", "content_weight", "style_weight", "tv_weight"),
        *("content_layers", "style_layers", "normalization", "gram", "match_colors", "start"),
        *("start_noise", "optimizer", "learning_rate", "beta_2", "best_of_every", "clip", "steps"),
        *("octaves", "tolerance", "seed", "keep_alpha", "encoder", "pooling"),
    }
)
"""The settings of version 0.1.0, which are in the keys and records of all rows.

Any other setting is there only if it differs from its default, with which a row must have the same
pixels as in version 0.1.0. So the rows of that version keep their keys.
"""


def later_defaults_of(settings: BaseModel, *, match_colors: bool) -> frozenset[str]:
    """Return the names of settings that version 0.1.0 did not have and that have their default.

    Args:
        settings: the settings.
        match_colors: the earlier setting, which decides the default of `color`.
    """
    defaults = _later_defaults(type(settings), match_colors=match_colors)
    return frozenset(
        name for name, default in defaults.items() if getattr(settings, name) == default
    )


@cache
def _later_defaults(kind: type[BaseModel], *, match_colors: bool) -> Mapping[str, Any]:
    """Return the defaults of the settings that version 0.1.0 did not have; see above."""
    earlier = {"match_colors": match_colors}
    return {
        name: field.get_default(call_default_factory=True, validated_data=earlier)
        for name, field in kind.model_fields.items()
        if name not in FIRST_SETTINGS
    }
