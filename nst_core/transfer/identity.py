"""The keys of style targets and results, which depend only on content.

Names, places and times are not part of a key; everything that changes a pixel is, and so is the
form of a result's file, unless it is a PNG of 8 bits.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from nst_core.images.write import format_named
from nst_core.transfer.file_settings import FileSettings
from nst_core.transfer.losses.terms import FRAME_TERMS, weight_name
from nst_core.transfer.octaves import style_sides
from nst_core.transfer.settings import Settings
from nst_core.transfer.style_losses.costs import COSTS, GRAM
from nst_core.transfer.styles.style_shares import weights_of_styles

STATISTICS_VERSION = 1
"""Increased whenever the numbers in style targets change for the same picture and encoder."""

STYLIZE_VERSION = 1
"""Increased whenever the optimization gives different pixels for the same row."""

FLOW_VERSION = 1
"""Increased whenever computed flow, or what is made of flow, is different for the same pictures."""


ALPHA = "alpha"
"""What stands for the digest of a mask that is the picture's own transparency."""

BLEND_VERSION = 1
"""Increased whenever the same targets of several styles are blended into other numbers."""


def style_digest(pictures: Sequence[str]) -> str:
    """Return the digest of a style from those of its pictures, whose order does not matter.

    Args:
        pictures: digests of the decoded content of one or more pictures.

    Returns:
        64 hexadecimal digits; for one picture, its own.
    """
    return pictures[0] if len(pictures) == 1 else _digest({"pictures": sorted(pictures)})


def style_key(
    style_sha256: str,
    settings: Settings,
    encoder_fingerprint: str,
    mask: str = "",
    *,
    to_blend: bool = False,
    space: str = "",
) -> str:
    """Return the key of a style's targets.

    Args:
        style_sha256: digest of the style picture's decoded content, or of a style's pictures.
        settings: only the working sizes, the style layers and losses (not their weights), the
            kind of Gram matrix, the rotations and whether TF32 is allowed matter.
        encoder_fingerprint: fingerprint of the encoder that computes the targets.
        mask: digest of the style's mask, or `ALPHA`; empty if there is none.
        to_blend: whether the row has other styles, too. This matters only for style losses whose
            targets must then differ.
        space: digest of the ICC profile of the space in which the pictures are seen; empty for
            sRGB.

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
            **_later_facts(settings, mask, to_blend=to_blend),
            **({"space": space} if space else {}),
        }
    )


def _other_losses(settings: Settings) -> dict[str, Any]:
    """Return the facts about style losses other than Gram matrices, which all targets contain."""
    versions = {name: COSTS[name].version for name in settings.style_loss_weights if name != GRAM}
    return {"style_losses": versions} if versions else {}


def _later_facts(settings: Settings, mask: str, *, to_blend: bool) -> dict[str, Any]:
    """Return the facts that version 0.1.0 did not have, where they differ from what it did."""
    facts: dict[str, Any] = {"mask": mask} if mask else {}
    if settings.style_rotations != 1:
        facts["rotations"] = settings.style_rotations
    if not settings.allows_tf32:
        facts["precision"] = "float32"
    if to_blend and any(COSTS[name].differs_in_blends for name in settings.style_loss_weights):
        facts["to_blend"] = True
    return facts


def blend_key(keys: Sequence[str], settings: Settings) -> str:
    """Return the key of the targets of all styles of a row; for one style, it is that style's.

    Args:
        keys: the results of `style_key` for different styles. Their order matters unless
            `style_mix` is `blend`.
        settings: has their weights and how they are put together.

    Returns:
        64 hexadecimal digits.
    """
    if len(keys) == 1:
        return keys[0]
    styles = [*zip(keys, weights_of_styles(settings, len(keys)), strict=True)]
    if settings.style_mix == "blend":
        styles.sort()
    return _digest({"version": BLEND_VERSION, "mix": settings.style_mix, "styles": styles})


def row_key(
    content_sha256: str,
    style: str,
    settings: Settings,
    init_sha256: str = "",
    mask: str = "",
    previous: Mapping[str, str] = MappingProxyType({}),
    deep_sha256: str = "",
) -> str:
    """Return the key of a result, from the content picture, the style's key and the settings.

    Args:
        content_sha256: digest of the content picture's decoded content.
        style: the result of `blend_key`, which also identifies the encoder.
        settings: all matter but the encoder's name and pooling and how styles are blended, which
            the key of the styles covers, the settings of masks if there is none, those of the
            file, and defaults of later settings; see `setting_versions.FIRST_SETTINGS`.
        init_sha256: digest of the decoded content of the picture to start from; empty if the
            settings say what to start from.
        mask: digest of the content's mask, or `ALPHA`; empty if there is none.
        previous: for a frame that follows another one, what identifies that frame and the flow
            between both; see `frame_facts`. All frames before it are covered, too, because each key
            covers that of the frame before. Without it, the weights of terms that only such frames
            have do not matter.
        deep_sha256: digest of the content's levels of 16 bits, if they are used; otherwise empty.

    Returns:
        64 hexadecimal digits.
    """
    of_styles = {"encoder", "pooling", "style_blend", "style_mix"}
    # The digests of the masks say whether transparency is one.
    of_masks = {"mask_feather", "alpha_mask"}
    of_frames = set() if previous else {*map(weight_name, FRAME_TERMS)}
    of_files = {*FileSettings.model_fields}
    left_out = {*of_styles, *of_masks, *of_frames, *of_files, *settings.later_defaults}
    return _digest(
        {
            "version": STYLIZE_VERSION,
            "content": content_sha256,
            "style": style,
            "settings": settings.model_dump(exclude=left_out),
            **({"init": init_sha256} if init_sha256 else {}),
            **({"mask": mask, "mask_feather": settings.mask_feather} if mask else {}),
            **({"previous": {**previous}} if previous else {}),
            **({"deep": deep_sha256} if deep_sha256 else {}),
        }
    )


def frame_facts(key: str, flow_sha256: str = "") -> dict[str, str]:
    """Return what identifies the frame before a frame, for `row_key`.

    Args:
        key: the result of `file_key` for the frame before, whose file is read.
        flow_sha256: digest of the file of the flow; empty if the flow is computed.
    """
    return {"frame": key, "flow": flow_sha256 or f"computed {FLOW_VERSION}"}


def file_key(row: str, settings: Settings) -> str:
    """Return the key of a result's file, so that no other file of the same pixels is taken for it.

    Args:
        row: the result of `row_key`. It is the key of a PNG of 8 bits with private metadata as it
            is: earlier versions made no other files (without metadata, which counts as private).
        settings: those of files, of which only those matter that change the file's bytes.

    Returns:
        64 hexadecimal digits.
    """
    written = format_named(settings.format)
    facts: dict[str, Any] = {} if settings.format == "png" else {"format": written.name}
    if written.has_quality:
        facts["quality"] = settings.quality
    if settings.depth != 8:
        facts["depth"] = settings.depth
    if settings.enlarge_result:
        facts["enlarge_result"] = True
    if settings.metadata != "private":
        facts["metadata"] = settings.metadata
    return _digest({"row": row, **facts}) if facts else row


def row_seed(key: str, settings: Settings) -> int:
    """Return the seed in the settings, or else one that depends only on the row's key."""
    return settings.seed if settings.seed is not None else int(key[:8], 16) // 2


def _digest(facts: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
