"""The earlier import path of what is now in `nst_core.images`, for users' scripts."""

from collections.abc import Callable, Mapping  # noqa: F401

import numpy as np  # noqa: F401
from numpy.typing import NDArray  # noqa: F401

from nst_core.images.picture_files import *  # noqa: F403
from nst_core.images.read import *  # noqa: F403
from nst_core.images.resize import *  # noqa: F403
from nst_core.images.write import *  # noqa: F403
from nst_core.images.write import read_text as read_png_text  # noqa: F401 - its former name
