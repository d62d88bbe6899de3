"""What a request must fulfill before any work, and the limits that its times set."""

import math
import time
from datetime import UTC, datetime

from nst_core.devices import parse_devices
from nst_core.storage.places import reject_signed_url
from tasks.durations import moment_of, seconds_of
from tasks.engine.runner_choice import check_isolation, check_runner
from tasks.intake.manifest import check_manifest_kind, check_manifest_place, read_manifest
from tasks.report.selection import check_lines, parse_only
from tasks.request import BatchRequest, CheckRequest
from tasks.stopping import Deadline, Limits


def check_request(
    request: CheckRequest, *, once: bool = False, read: bool = False, late: bool = False
) -> None:
    """Check what can be checked without work and, unless `read` is set, without the network.

    Args:
        request: the request to check.
        once: it is used only once, as by `nst-batch check` and `plan`. No server stores it and no
            later run repeats it, so the manifest may be a signed URL or a pipe.
        read: also check that the manifest can be read and has a row.
        late: as in `limits_of`.

    Raises:
        UserError: something cannot be used; the message says what, and what to do.
    """
    if not once:
        for place in (request.manifest, request.output, request.cache):
            if place is not None:
                reject_signed_url(place)
    if folder := request.output_folder:
        check_manifest_place(request.manifest, folder)
    if not once:
        check_manifest_kind(request.manifest)
    only = None if request.only is None else parse_only(request.only)
    if read:
        rows = read_manifest(request.manifest, request.settings)
        if only:
            check_lines(only, rows)
    limits_of(request, time.time(), late=late)
    parse_devices(request.devices)
    check_isolation(request.runner, isolate=request.isolate)
    check_runner(request.runner, request.address, request.devices)


def limits_of(request: CheckRequest, began: float, *, late: bool = False) -> Limits:
    """Return the limits of a run's rows.

    Args:
        request: has the times.
        began: when the run began, in seconds since 1970.
        late: whether the run was asked for earlier, so that a time with a date may have passed.

    Raises:
        TimeTextError: a time or a duration cannot be used.
    """
    text = request.until
    ends = [] if text is None else [moment_of(text, began, "until", may_be_past=late)]
    ends += [] if request.budget is None else [began + seconds_of(request.budget, "budget")]
    at, most = min(ends, default=math.inf), request.row_budget
    row_seconds = math.inf if most is None else seconds_of(most, "row-budget")
    return Limits(Deadline(at, window=at - began), row_seconds)


def until_fixed(request: BatchRequest, at: float) -> BatchRequest:
    """Return the same request with a time and date instead of a time of day.

    Otherwise, a flow that begins after that time of day would mean the one of the next day.

    Args:
        request: has a time when it ends.
        at: that moment, in seconds since 1970.
    """
    until = datetime.fromtimestamp(math.ceil(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return request.model_copy(update={"until": until})
