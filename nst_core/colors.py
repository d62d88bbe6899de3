"""The earlier import path of `nst_core.transfer.colors.colors`, for users' scripts."""

from nst_core.transfer.colors.colors import *  # noqa: F403 - all that this path had
