"""The earlier import path of `nst_core.transfer.styles.statistics`, for users' scripts."""

from nst_core.transfer.styles.statistics import *  # noqa: F403 - all that this path had
