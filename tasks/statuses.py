"""How rows can end; without Prefect, as whoever reads the table needs it too."""

from dataclasses import dataclass
from typing import Literal, get_args

from tasks.records import PictureRecord

Status = Literal["done", "cached", "failed", "invalid", "interrupted", "pending"]
STATUSES: tuple[Status, ...] = get_args(Status)
WITH_PICTURE: tuple[Status, ...] = ("done", "cached")
WRONG: tuple[Status, ...] = ("failed", "invalid")
STOPPED: tuple[Status, ...] = ("interrupted", "pending")
UNDONE: tuple[Status, ...] = (*WRONG, *STOPPED)


@dataclass(frozen=True)
class Ending:
    """How a row ended: with a record, or with an error.

    Attributes:
        status: `done` in this run, `cached` from an earlier one, `failed`, `invalid` by its
            manifest or pictures, `interrupted` by the end of its batch, or `pending`, where that
            end came before its beginning.
        interrupted_picture: the best one so far of an interrupted row, relative to the output
            folder.
        same_as: the line of an earlier row that is equal to it, and with which it shares its fate.
        is_output_lost: it failed as the storage of the output does not answer.
    """

    status: Status
    record: PictureRecord | None = None
    style_targets: Literal["computed", "hit", ""] = ""
    error: str = ""
    interrupted_picture: str = ""
    same_as: int | None = None
    is_output_lost: bool = False


PENDING = Ending("pending", error="the batch was stopped before this row began")
