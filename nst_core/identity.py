"""The earlier import path of `nst_core.transfer.identity`, for users' scripts."""

from nst_core.transfer.identity import *  # noqa: F403 - all that this path had
