"""The statuses in which rows can end; without Prefect, as readers of the table need them too."""

from dataclasses import dataclass
from typing import Literal, get_args

from tasks.store.records import PictureRecord

Status = Literal["done", "cached", "failed", "invalid", "interrupted", "pending"]
STATUSES: tuple[Status, ...] = get_args(Status)
WITH_PICTURE: tuple[Status, ...] = ("done", "cached")
WRONG: tuple[Status, ...] = ("failed", "invalid")
STOPPED: tuple[Status, ...] = ("interrupted", "pending")
UNDONE: tuple[Status, ...] = (*WRONG, *STOPPED)


@dataclass(frozen=True)
class RowResult:
    """How a row ended: with a record, or with an error.

    Attributes:
        status: `done` in this run, `cached` from an earlier one, `failed`, `invalid` because of its
            manifest or pictures, `interrupted` by the end of its batch, or `pending` if the batch
            ended before the row began, or the row was not asked for.
        interrupted_picture: the best picture so far of an interrupted row, relative to the output
            folder.
        same_as: the line of an earlier, equal row, with which it shares its result.
        is_output_lost: it failed because the storage of the output does not answer.
        retries: how often it, or the style that it lacks, was tried again before it failed; None
            if it did not run to such an end.
        asked: whether the run was asked to run it.
        last_status: how it last ended, if it was not asked for and has no picture; else empty.
        notes: what is odd about how this run made its picture; what is odd about the picture
            itself is in its record.
    """

    status: Status
    record: PictureRecord | None = None
    style_targets: Literal["computed", "hit", ""] = ""
    error: str = ""
    interrupted_picture: str = ""
    same_as: int | None = None
    is_output_lost: bool = False
    retries: int | None = None
    notes: tuple[str, ...] = ()
    asked: bool = True
    last_status: Status | Literal[""] = ""


PENDING = RowResult("pending", error="the batch was stopped before this row began")
