"""The import path of `nst_core.images.pixels` in version 0.1.0, for users' scripts."""

from nst_core.images.pixels import *  # noqa: F403 - all that this path had
