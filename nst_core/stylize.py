"""The earlier import path of `nst_core.transfer.stylize`, for users' scripts.

`nst_core.stylize` is also a function of the public API. Once this module is imported, Python makes
it the attribute `stylize` of the package, in place of that function. The module can
therefore be called like the function, so that both meanings of the name work in any order.
"""

import sys
from types import ModuleType
from typing import Any

from nst_core.transfer.stylize import *  # noqa: F403 - all that this path had
from nst_core.transfer.stylize import Outcome, stylize


class _CallableModule(ModuleType):
    def __call__(self, *pictures: Any, **options: Any) -> Outcome:
        """See `nst_core.transfer.stylize.stylize`."""
        return stylize(*pictures, **options)


sys.modules[__name__].__class__ = _CallableModule
