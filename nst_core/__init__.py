"""Neural style transfer (Gatys et al.) for your own scripts, with one import.

    import nst_core as nst

    content, style = nst.load("content.png"), nst.load("style.png")
    outcome = nst.stylize(content, style, nst.presets["draft"])
    outcome.save("result.png")

* `load` reads a picture file. Arrays and Pillow images can be stylized as they are.
* `presets` has the settings of each preset by name. `resolve` starts from a preset and changes some
  of its settings. `Settings` lists them all.
* `stylize` makes one picture. Its parts are `load_encoder`, `style_targets` (once for each style),
  `iterates` (which yields the best picture so far) and `finish`.
* `Blend` is several styles, and `Samples` several pictures of one; `stylize` takes both.
* `Together` lets rows that run at the same time, in threads, take their steps as one batch.
* `FrameBefore` is the frame before a frame of a moving picture; `stylize` and `iterates` take it.
* `Outcome` and `Iterate` have `pixels`, `losses`, a Pillow `image` and `save(path)`.
* `score` judges a result by what is in no loss, and returns `Scores`.
* Errors meant for users are subclasses of `UserError`, such as `PictureError`, `SaveError` and
  `WeightsError`; their messages say what to do. A loss that is not finite raises `NotFiniteError`.

Names are imported when they are first used. Importing this package alone therefore takes no time,
and only functions that compute load TensorFlow. docs/python.md has examples.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nst_core.errors import UserError
    from nst_core.images.picture_files import PictureError
    from nst_core.images.pixels import PictureLike
    from nst_core.images.read import Picture, load
    from nst_core.images.saving import SaveError
    from nst_core.networks.encoder import Encoder
    from nst_core.networks.loading import load_encoder
    from nst_core.networks.weight_files import WeightsError
    from nst_core.scoring.scores import Scores, score
    from nst_core.transfer.losses.terms import Losses
    from nst_core.transfer.optimization.optimization import NotFiniteError
    from nst_core.transfer.optimization.together import Together
    from nst_core.transfer.pictures.frames import FrameBefore
    from nst_core.transfer.presets import presets, resolve
    from nst_core.transfer.settings import Settings
    from nst_core.transfer.styles.statistics import style_targets
    from nst_core.transfer.styles.styles import Blend, Samples
    from nst_core.transfer.styles.targets import StyleTargets
    from nst_core.transfer.stylize import Iterate, Outcome, finish, iterates, stylize

    __version__: str

__all__ = [
    "Blend",
    "Encoder",
    "FrameBefore",
    "Iterate",
    "Losses",
    "NotFiniteError",
    "Outcome",
    "Picture",
    "PictureError",
    "PictureLike",
    "Samples",
    "SaveError",
    "Scores",
    "Settings",
    "StyleTargets",
    "Together",
    "UserError",
    "WeightsError",
    "__version__",
    "finish",
    "iterates",
    "load",
    "load_encoder",
    "presets",
    "resolve",
    "score",
    "style_targets",
    "stylize",
]

_MODULES = {
    "Blend": "nst_core.transfer.styles.styles",
    "Encoder": "nst_core.networks.encoder",
    "FrameBefore": "nst_core.transfer.pictures.frames",
    "Iterate": "nst_core.transfer.stylize",
    "Losses": "nst_core.transfer.losses.terms",
    "NotFiniteError": "nst_core.transfer.optimization.optimization",
    "Outcome": "nst_core.transfer.stylize",
    "Picture": "nst_core.images.read",
    "PictureError": "nst_core.images.picture_files",
    "PictureLike": "nst_core.images.pixels",
    "Samples": "nst_core.transfer.styles.styles",
    "SaveError": "nst_core.images.saving",
    "Scores": "nst_core.scoring.scores",
    "Settings": "nst_core.transfer.settings",
    "StyleTargets": "nst_core.transfer.styles.targets",
    "Together": "nst_core.transfer.optimization.together",
    "UserError": "nst_core.errors",
    "WeightsError": "nst_core.networks.weight_files",
    "finish": "nst_core.transfer.stylize",
    "iterates": "nst_core.transfer.stylize",
    "load": "nst_core.images.read",
    "load_encoder": "nst_core.networks.loading",
    "presets": "nst_core.transfer.presets",
    "resolve": "nst_core.transfer.presets",
    "score": "nst_core.scoring.scores",
    "style_targets": "nst_core.transfer.styles.statistics",
    "stylize": "nst_core.transfer.stylize",
}
"""The module of each name; type checkers and editors read the imports above instead."""


def _load(name: str) -> Any:
    if name == "__version__":
        # This is not imported above, because it alone takes longer than the rest of the package.
        from importlib.metadata import version

        return version("nst-batch")
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return list(__all__)


if not TYPE_CHECKING:
    # A type checker that saw this would accept every name.
    __getattr__ = _load
