"""The options that commands share, read and checked as the command line is parsed."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter, Token, validators

from nst_core.images.picture_files import DEFAULT_MAX_PIXELS
from nst_core.storage.places import WEB_ADDRESS, Place, place
from nst_core.transfer.octaves import REPORT_EVERY
from nst_core.transfer.settings import Overrides


def to_place(_: object, tokens: Sequence[Token]) -> Place:
    """A place of what was typed."""
    return place(tokens[0].value)


def to_places(_: object, tokens: Sequence[Token]) -> tuple[Place, ...]:
    """Places of what was typed."""
    return tuple(place(token.value) for token in tokens)


def _check_save_every(_: object, steps: int | None) -> None:
    if steps is not None and (steps < 1 or steps % REPORT_EVERY):
        raise ValueError(f"expected a multiple of {REPORT_EVERY}")


def _check_address(_: object, address: str | None) -> None:
    if address is not None and not re.match(WEB_ADDRESS, address):
        raise ValueError("expected http:// or https:// and no user, '?' or '#'")


Existing = Annotated[Place, Parameter(converter=to_place)]
"""A manifest, a picture or an output folder that is there."""

Output = Annotated[
    Place,
    Parameter(
        alias="-o",
        converter=to_place,
        help="folder for pictures, loss curves, the gallery and the summary table; may be an "
        "address such as s3://bucket/folder",
    ),
]
Cache = Annotated[
    Place | None,
    Parameter(
        converter=to_place,
        help="folder for cached style targets and weights "
        "[default: NST_BATCH_CACHE or ~/.cache/nst-batch]",
    ),
]
WeightsPath = Annotated[
    Path | None,
    Parameter(
        name="--weights",
        help="file or folder of weights, for encoders that are not in the package "
        "[default: NST_BATCH_WEIGHTS]",
    ),
]
Devices = Annotated[
    str,
    Parameter(
        help="auto (all GPUs, or the CPU if there is none), gpu (all GPUs, never the CPU), cpu, or "
        "a list such as gpu:0,gpu:2; each device works on one row at a time"
    ),
]
Json = Annotated[bool, Parameter(negative="", help="print the result as JSON")]
Flag = Parameter(negative="")


@Parameter(name="*")
@dataclass(frozen=True)
class RowOptions:
    """The options of commands that read a manifest."""

    settings: Annotated[Overrides, Parameter(name="*")] = Overrides()  # noqa: RUF009 - frozen
    weights: WeightsPath = None
    cache: Cache = None
    max_pixels: Annotated[
        int,
        Parameter(
            help="refuse pictures with more pixels than this", validator=validators.Number(gte=1)
        ),
    ] = DEFAULT_MAX_PIXELS


@Parameter(name="*")
@dataclass(frozen=True)
class BatchOptions(RowOptions):
    """The options of commands that run a manifest: the flow's parameters, by the same names."""

    strict: Annotated[bool, Parameter(negative="", help="run nothing if any row has an error")] = (
        False
    )
    save_every: Annotated[
        int | None,
        Parameter(
            validator=_check_save_every,
            help="save each picture to intermediates/ after every N steps; N is a multiple of "
            f"{REPORT_EVERY}; `nst-batch animate` turns them into an animation",
        ),
    ] = None
    devices: Devices = "auto"
    runner: Annotated[
        Literal["local", "ray", "dask"],
        Parameter(
            help="where rows run: in this process, or on the workers of a Ray or Dask cluster"
        ),
    ] = "local"
    address: Annotated[
        str | None,
        Parameter(
            help="address of a running cluster, such as tcp://scheduler:8786 (Dask), head:6379 or "
            "auto (Ray) [default: start one on this machine for the run]"
        ),
    ] = None
    served_at: Annotated[
        str | None,
        Parameter(
            validator=_check_address,
            help="web address of the output folder, such as https://pictures.example/night, for "
            "links on Prefect's page",
        ),
    ] = None

    def flow_parameters(self) -> dict[str, Any]:
        """All but the settings, which the flow is given first."""
        return {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.name != "settings"
        }
