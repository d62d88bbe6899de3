"""The earlier import path of `nst_core.images.pixels`, for users' scripts."""

from nst_core.images.pixels import *  # noqa: F403 - all that this path had
