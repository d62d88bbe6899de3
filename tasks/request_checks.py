"""What a request must fulfill before any work, and the limits that its times set."""

import math
import time

from nst_core.devices import parse_devices
from nst_core.storage.places import reject_signed_url
from tasks.durations import moment_of, seconds_of
from tasks.engine.runner_choice import check_isolation, check_runner
from tasks.intake.manifest import check_manifest_kind, check_manifest_place, read_manifest
from tasks.report.selection import check_lines, parse_only
from tasks.request import CheckRequest
from tasks.stopping import Deadline, Limits


def check_request(request: CheckRequest, *, once: bool = False, read: bool = False) -> None:
    """Check what can be checked without work and, unless `read` is set, without the network.

    Args:
        request: the request to check.
        once: it is used only once, as by `nst-batch check` and `plan`. No server stores it and no
            later run repeats it, so the manifest may be a signed URL or a pipe.
        read: also check that the manifest can be read and has a row.

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
    limits_of(request, time.time())
    parse_devices(request.devices)
    check_isolation(request.runner, isolate=request.isolate)
    check_runner(request.runner, request.address, request.devices)


def limits_of(request: CheckRequest, began: float) -> Limits:
    """Return the limits of a run's rows, if the run began at this time (seconds since 1970).

    Raises:
        TimeTextError: a time or a duration cannot be used.
    """
    ends = [] if request.until is None else [moment_of(request.until, began, "until")]
    ends += [] if request.budget is None else [began + seconds_of(request.budget, "budget")]
    at, most = min(ends, default=math.inf), request.row_budget
    row_seconds = math.inf if most is None else seconds_of(most, "row-budget")
    return Limits(Deadline(at, window=at - began), row_seconds)
