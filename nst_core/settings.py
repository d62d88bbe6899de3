"""The earlier import path of `nst_core.transfer.settings`, for users' scripts."""

from nst_core.transfer.presets import *  # noqa: F403 - all that this path had
from nst_core.transfer.setting_types import *  # noqa: F403 - likewise
from nst_core.transfer.settings import *  # noqa: F403 - likewise
