"""The catalogue of encoders, by the names that settings use."""

from collections.abc import Callable, Mapping
from functools import cache

from nst_core.networks import compact
from nst_core.networks.encoder import Encoder

CATALOGUE: Mapping[str, Callable[[], Encoder]] = {"compact": compact.load}


@cache
def load_encoder(name: str) -> Encoder:
    """The encoder of that name; the same object each time, as its weights never change.

    Raises:
        ValueError: no encoder has that name.
    """
    if name not in CATALOGUE:
        raise ValueError(f"no encoder is called {name!r}; there are {', '.join(CATALOGUE)}")
    return CATALOGUE[name]()
