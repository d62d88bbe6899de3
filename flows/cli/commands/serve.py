"""`nst-batch serve`: nightly runs without a work pool, for as long as this process lives."""

import asyncio
import signal
from contextlib import suppress
from typing import Any

from pydantic import ValidationError

from flows.cli.exit_codes import SUCCESS
from flows.cli.preconditions import check_output
from flows.cli.terminal import Terminal, refuse
from flows.process.proxies import fix_proxies
from flows.process.signals import answer_signals
from nst_core.errors import UserError
from tasks.request import BatchRequest
from tasks.request_checks import check_request


class ScheduleError(UserError):
    """A schedule that cannot be used; the message says what to do."""


def serve(terminal: Terminal, request: BatchRequest, *, name: str, cron: str, timezone: str) -> int:
    """Register a deployment of the flow with the server, and run it here whenever it is due.

    Args:
        terminal: where to report what is wrong, and what is served.
        request: what each run is asked to do.
        name: the name of the deployment.
        cron: the schedule, as a cron expression.
        timezone: the time zone of the schedule.

    Returns:
        `SUCCESS` after a request to stop, because that is how it normally ends.
    """
    try:
        url = _server_url()
        schedule = _schedule(cron, timezone)
        check_request(request, read=True)
        check_output(request.output_folder)
    except UserError as error:
        return refuse(terminal, error)
    for wrong in fix_proxies(url):
        terminal.fail(f"warning: {wrong}")
    terminal.say(f"serving stylize-manifest/{name}: {cron} in {timezone}; Ctrl-C ends it")
    terminal.say(f"to run it now as well: prefect deployment run 'stylize-manifest/{name}' --watch")
    _serve_until_stopped(name, schedule, request.with_absolute_places().parameters())
    return SUCCESS


def _server_url() -> str:
    """Return the URL of the server that keeps the schedule.

    Raises:
        ScheduleError: no server is named.
    """
    from prefect.settings import get_current_settings

    url = get_current_settings().api.url
    if url is None:
        raise ScheduleError(
            "no server to keep the schedule: PREFECT_API_URL is not set. Start one with "
            "`prefect server start` and set PREFECT_API_URL=http://127.0.0.1:4200/api"
        )
    return url


def _serve_until_stopped(name: str, schedule: Any, parameters: dict[str, Any]) -> None:
    """Do what Prefect's `flow.serve` does, except for signals.

    Prefect's own handler of SIGTERM creates a coroutine that nobody awaits. Ctrl-C, which asyncio
    handles, ends Prefect's runner in an orderly way.
    """
    from prefect.runner import Runner

    from flows.stylize_manifest import stylize_manifest

    class ServingRunner(Runner):
        def handle_sigterm(self, *_: Any, **__: Any) -> None:
            signal.raise_signal(signal.SIGINT)

    runner = ServingRunner(name=name, pause_on_shutdown=True, limit=1)
    runner.add_flow(stylize_manifest, name=name, schedule=schedule, parameters=parameters)
    with suppress(KeyboardInterrupt):
        answer_signals(runner.handle_sigterm)
        # asyncio handles Ctrl-C only if Python's own handler is installed.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        asyncio.run(runner.start())


def _schedule(cron: str, timezone: str) -> Any:
    from prefect.client.schemas.schedules import CronSchedule
    from prefect.schedules import Cron

    try:
        CronSchedule(cron=cron, timezone=timezone)
    except ValidationError as error:
        fault = error.errors()[0]
        raise ScheduleError(
            f"--{fault['loc'][0] if fault['loc'] else 'cron'}: found {fault['input']!r}; "
            "expected a cron expression such as '0 1 * * *' and a time zone such as Europe/Berlin"
        ) from error
    return Cron(cron, timezone=timezone)
