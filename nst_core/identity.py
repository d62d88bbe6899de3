"""Identity is content: the keys under which style targets and results are kept.

Names, places and times are not part of a key; whatever changes a pixel is.
"""

import hashlib
import json
from typing import Any

from nst_core.octaves import style_sides
from nst_core.settings import Settings

STATISTICS_VERSION = 1
"""Raised whenever the numbers in style targets change for the same picture and encoder."""

STYLIZE_VERSION = 1
"""Raised whenever the optimization gives other pixels for the same row."""


def style_key(style_sha256: str, settings: Settings, encoder_fingerprint: str) -> str:
    """The key of a style's targets.

    Args:
        style_sha256: digest of the style picture's decoded content.
        settings: of which only working sizes, style layers (not their weights) and the kind
            of Gram matrix matter.
        encoder_fingerprint: keeps targets of different networks apart.

    Returns:
        64 hexadecimal digits.
    """
    return _digest(
        {
            "version": STATISTICS_VERSION,
            "style": style_sha256,
            "sides": style_sides(settings),
            "layers": sorted(settings.style_layer_weights),
            "gram": settings.gram,
            "encoder": encoder_fingerprint,
        }
    )


def row_key(content_sha256: str, style: str, settings: Settings) -> str:
    """The key of a result: the content picture, the style's key and the settings.

    Args:
        content_sha256: digest of the content picture's decoded content.
        style: what `style_key` gave; it stands for the encoder too.
        settings: all but the encoder's name and pooling, for which the style's key stands.

    Returns:
        64 hexadecimal digits.
    """
    return _digest(
        {
            "version": STYLIZE_VERSION,
            "content": content_sha256,
            "style": style,
            "settings": settings.model_dump(exclude={"encoder", "pooling"}),
        }
    )


def row_seed(key: str, settings: Settings) -> int:
    """The seed that was asked for, or one that depends on nothing but the row's key."""
    return settings.seed if settings.seed is not None else int(key[:8], 16) // 2


def _digest(facts: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
