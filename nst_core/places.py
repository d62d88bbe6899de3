"""The import path of `nst_core.storage.places` in version 0.1.0, for users' scripts."""

from nst_core.storage.places import *  # noqa: F403 - all that this path had
