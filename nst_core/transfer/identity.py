"""The keys of style targets and results, which depend only on content.

Names, places and times are not part of a key; everything that changes a pixel is, and so is the
format of a result, unless it is PNG.
"""

import hashlib
import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from nst_core.transfer.octaves import style_sides
from nst_core.transfer.settings import Settings
from nst_core.transfer.style_losses.costs import COSTS, GRAM
from nst_core.transfer.terms import FRAME_TERMS, weight_name

STATISTICS_VERSION = 1
"""Increased whenever the numbers in style targets change for the same picture and encoder."""

STYLIZE_VERSION = 1
"""Increased whenever the optimization gives different pixels for the same row."""

FLOW_VERSION = 1
"""Increased whenever computed flow, or what is made of flow, is different for the same pictures."""


def style_key(style_sha256: str, settings: Settings, encoder_fingerprint: str) -> str:
    """Return the key of a style's targets.

    Args:
        style_sha256: digest of the style picture's decoded content.
        settings: only the working sizes, the style layers and losses (not their weights) and the
            kind of Gram matrix matter.
        encoder_fingerprint: fingerprint of the encoder that computes the targets.

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
            **_other_losses(settings),
        }
    )


def _other_losses(settings: Settings) -> dict[str, Any]:
    """Return the facts about style losses other than Gram matrices, which all targets contain."""
    versions = {name: COSTS[name].version for name in settings.style_loss_weights if name != GRAM}
    return {"style_losses": versions} if versions else {}


def row_key(
    content_sha256: str,
    style: str,
    settings: Settings,
    init_sha256: str = "",
    previous: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Return the key of a result, from the content picture, the style's key and the settings.

    Args:
        content_sha256: digest of the content picture's decoded content.
        style: the result of `style_key`, which also identifies the encoder.
        settings: all matter but the encoder's name and pooling, which the style's key covers, and
            defaults of later settings; see `settings.FIRST_SETTINGS`.
        init_sha256: digest of the decoded content of the picture to start from; empty if the
            settings say what to start from.
        previous: for a frame that follows another one, what identifies that frame and the flow
            between both; see `frame_facts`. All frames before it are covered, too, because each key
            covers that of the frame before. Without it, the weights of terms that only such frames
            have do not matter.

    Returns:
        64 hexadecimal digits.
    """
    left_out = {"encoder", "pooling", *settings.later_defaults}
    if not previous:
        left_out |= {*map(weight_name, FRAME_TERMS)}
    return _digest(
        {
            "version": STYLIZE_VERSION,
            "content": content_sha256,
            "style": style,
            "settings": settings.model_dump(exclude=left_out),
            **({"init": init_sha256} if init_sha256 else {}),
            **({"previous": {**previous}} if previous else {}),
        }
    )


def frame_facts(key: str, flow_sha256: str = "") -> dict[str, str]:
    """Return what identifies the frame before a frame, for `row_key`.

    Args:
        key: the result of `file_key` for the frame before, whose file is read.
        flow_sha256: digest of the file of the flow; empty if the flow is computed.
    """
    return {"frame": key, "flow": flow_sha256 or f"computed {FLOW_VERSION}"}


def file_key(row: str, file_format: str) -> str:
    """Return the key of a result in a format, so that no file in another format is taken for it.

    Args:
        row: the result of `row_key`. It is the key of a PNG as it is, which is the format of all
            results of earlier versions.
        file_format: the name of a `nst_core.images.write.Format`.

    Returns:
        64 hexadecimal digits.
    """
    return row if file_format == "PNG" else _digest({"row": row, "format": file_format})


def row_seed(key: str, settings: Settings) -> int:
    """Return the seed in the settings, or else one that depends only on the row's key."""
    return settings.seed if settings.seed is not None else int(key[:8], 16) // 2


def _digest(facts: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
