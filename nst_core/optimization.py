"""The earlier import path of `nst_core.transfer.optimization.optimization`, for users' scripts."""

from nst_core.transfer.optimization.optimization import *  # noqa: F403 - all that this path had
