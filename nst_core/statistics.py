"""The earlier import path of `nst_core.transfer.statistics`, for users' scripts."""

from nst_core.transfer.statistics import *  # noqa: F403 - all that this path had
