"""The earlier import path of `nst_core.storage.files`, for users' scripts."""

from nst_core.storage.files import *  # noqa: F403 - all that this path had
