"""How Prefect stores results: cache keys, serializer, storage and locks. All of it is here."""

import asyncio
import math
import os
from functools import cache
from pathlib import Path
from typing import Any, ParamSpec

from prefect import Task
from prefect.cache_policies import CacheKeyFnPolicy, CachePolicy
from prefect.context import TaskRunContext
from prefect.locking.protocol import LockManager
from prefect.serializers import Serializer
from prefect.transactions import IsolationLevel
from pydantic import Field

from nst_core.storage.locks import flock
from nst_core.storage.places import Place
from tasks.engine.record_storage import RecordStorage
from tasks.stopping import Deadline
from tasks.store.file_reference import RecordError
from tasks.store.lookup import FilesBySize, look_for
from tasks.store.records import (
    SERIALIZER,
    AnyRecord,
    PictureRecord,
    Record,
    StyleRecord,
    checked_record,
    parse_record,
    verified_style,
)


class RecordSerializer(Serializer):
    """Serializer of JSON records that verifies a record's file when it reads the record.

    It never uses pickle, because the cache may be shared. Prefect reads a record to learn whether
    a result exists, so a record whose file is missing or damaged counts as absent, and the task
    runs again. Prefect reads it within the task run of that record, whose parameters say where the
    file must be.
    """

    type: str = Field(default=SERIALIZER, frozen=True)

    def dumps(self, obj: Any) -> bytes:
        """Return a record as JSON, or as text an exception that Prefect stores if a task fails."""
        if isinstance(obj, StyleRecord | PictureRecord):
            return obj.model_dump_json().encode()
        if isinstance(obj, BaseException):
            return repr(f"{type(obj).__name__}: {obj}").encode()
        raise TypeError(f"only records are persisted, not {type(obj).__name__}")

    def loads(self, blob: bytes) -> Record:
        """Return the record; raise `RecordError` if it, its key or its file is not as expected."""
        task_run = TaskRunContext.get()
        if task_run is None:
            raise RecordError("a record can be read only in the task run that it belongs to")
        record = parse_record(blob)
        if isinstance(record, StyleRecord):
            key = task_run.parameters["style"].key
            path = task_run.parameters["cache"].targets(key)
            return verified_style(checked_record(record, key, StyleRecord), path)
        job = task_run.parameters["job"]
        output = FilesBySize(task_run.parameters["output"])
        return look_for(checked_record(record, job.key, PictureRecord), [job.output], output).found


class FlockLockManager(LockManager):
    """Locks that the kernel releases when their holder dies: an `flock` on one file for each key.

    Prefect's own lock managers leave a lock behind when a process is killed, which would make every
    later run hang; these do not. The files themselves stay, empty.
    """

    def __init__(self, folder: Path, deadline: Deadline) -> None:
        self.folder, self.deadline = folder, deadline
        self._held: dict[tuple[str, str], int] = {}

    def acquire_lock(
        self,
        key: str,
        holder: str,
        acquire_timeout: float | None = None,
        hold_timeout: float | None = None,  # noqa: ARG002 - held until released or the holder dies
    ) -> bool:
        """Wait for the lock and take it; return False if the time runs out first.

        The time also runs out at the deadline. Prefect then begins the task without the lock, and
        the task gives up by itself.
        """
        if self.is_lock_holder(key, holder):
            return True
        timeouts = (acquire_timeout, max(0.0, self.deadline.seconds_left))
        shortest = min(timeout for timeout in timeouts if timeout is not None)
        descriptor = self._flock(key, shortest if math.isfinite(shortest) else None)
        if descriptor is None:
            return False
        self._held[key, holder] = descriptor
        return True

    def _flock(self, key: str, timeout: float | None) -> int | None:
        self.folder.mkdir(parents=True, exist_ok=True)
        return flock(self.folder / f"{key}.lock", timeout)

    def release_lock(self, key: str, holder: str) -> None:
        """Release the lock; do nothing if it is not held, because Prefect releases twice."""
        descriptor = self._held.pop((key, holder), None)
        if descriptor is not None:
            os.close(descriptor)

    def is_lock_holder(self, key: str, holder: str) -> bool:
        """Return whether this holder has the lock."""
        return (key, holder) in self._held

    def is_locked(self, key: str) -> bool:
        """Return whether anyone has the lock."""
        return not self.wait_for_lock(key, timeout=0)

    def wait_for_lock(self, key: str, timeout: float | None = None) -> bool:
        """Wait until nobody has the lock; return False if the time runs out first."""
        descriptor = self._flock(key, timeout)
        if descriptor is not None:
            os.close(descriptor)
        return descriptor is not None

    async def aacquire_lock(
        self,
        key: str,
        holder: str,
        acquire_timeout: float | None = None,
        hold_timeout: float | None = None,
    ) -> bool:
        """Run `acquire_lock` without blocking the event loop."""
        return await asyncio.to_thread(
            self.acquire_lock, key, holder, acquire_timeout, hold_timeout
        )

    async def await_for_lock(self, key: str, timeout: float | None = None) -> bool:
        """Run `wait_for_lock` without blocking the event loop."""
        return await asyncio.to_thread(self.wait_for_lock, key, timeout)

    def __deepcopy__(self, memo: dict[int, Any]) -> "FlockLockManager":
        # A copy would not know what the original holds and could never release it.
        return self


@cache
def _lock_manager(folder: Path, deadline: Deadline) -> FlockLockManager:
    return FlockLockManager(folder, deadline)


P = ParamSpec("P")


def with_records(
    task: Task[P, AnyRecord],
    folder: Place,
    argument: str,
    attribute: str,
    *,
    refresh: bool,
    once_under: Path | None = None,
    deadline: Deadline = Deadline(),  # noqa: B008 - frozen, so it can be shared
) -> Task[P, AnyRecord]:
    """Return a copy of a task whose records are stored by key in a folder.

    Args:
        task: a task that returns records.
        folder: where records are stored.
        argument, attribute: the key is this attribute of this argument of the task.
        refresh: run even if there is a record, and replace it.
        once_under: a folder of locks that make runs of the same key wait for each other, in any
            thread or process, so that only the first one computes.
        deadline: no run waits for such a lock after it.
    """
    policy: CachePolicy = CacheKeyFnPolicy(
        cache_key_fn=lambda _, arguments: getattr(arguments[argument], attribute)
    )
    if once_under:
        policy = policy.configure(
            lock_manager=_lock_manager(once_under, deadline),
            isolation_level=IsolationLevel.SERIALIZABLE,
        )
    copy = task.with_options(
        result_serializer=RecordSerializer(),
        persist_result=True,
        refresh_cache=refresh,
        cache_policy=policy,
    )
    # As an option, it would have to be saved on the server first, which takes half a second in each
    # run. The server needs it only for results that are read by way of the server, and none is.
    copy.result_storage = RecordStorage(folder=str(folder))
    return copy
