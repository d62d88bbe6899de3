"""The earlier import path of `nst_core.storage.places`, for users' scripts."""

from nst_core.storage.places import *  # noqa: F403 - all that this path had
