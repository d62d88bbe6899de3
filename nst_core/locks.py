"""The earlier import path of `nst_core.storage.locks`, for users' scripts."""

from nst_core.storage.locks import *  # noqa: F403 - all that this path had
