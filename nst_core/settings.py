"""The earlier import path of `nst_core.transfer.settings`, for users' scripts."""

from nst_core.transfer.settings import *  # noqa: F403 - all that this path had
