"""The import path of `nst_core.transfer.settings` in version 0.1.0, for users' scripts."""

from nst_core.transfer.settings import *  # noqa: F403 - all that this path had
