"""The earlier import path of `nst_core.transfer.colors`, for users' scripts."""

from nst_core.transfer.colors import *  # noqa: F403 - all that this path had
