"""`nst-batch doctor`: what works on this machine, and how to fix what does not."""

import platform
import subprocess
import sys
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement

from flows.cli.commands.weights import state_of
from flows.cli.exit_codes import ENGINE_FAILED, SUCCESS
from flows.cli.preconditions import Finding, surroundings
from flows.cli.terminal import Terminal
from flows.process.proxies import fix_proxies, is_served_here, set_proxies
from nst_core.networks import CATALOGUE
from nst_core.networks.store import WeightStore
from tasks.store.style_cache import StyleCache


def doctor(terminal: Terminal, cache: StyleCache) -> int:
    """Check versions, devices, server, cache and weights; fail if a run would fail."""
    # These checks come first, because Prefect cannot even be imported without a home.
    around = surroundings(cache)
    findings = [*_versions(), *around, *_weights(cache), *_connection(around), _devices()]
    terminal.table([asdict(finding) for finding in findings])
    terminal.result([asdict(finding) for finding in findings])
    return ENGINE_FAILED if any(finding.state == "error" for finding in findings) else SUCCESS


def _versions() -> list[Finding]:
    python = Finding("python", "ok", f"{platform.python_version()} at {sys.executable}")
    needed = [Requirement(text) for text in requires("nst-batch") or []]
    without_extras = [
        need for need in needed if not need.marker or need.marker.evaluate({"extra": ""})
    ]
    return [python, *map(_version, without_extras)]


def _version(need: Requirement) -> Finding:
    try:
        found = version(need.name)
    except PackageNotFoundError:
        return Finding(need.name, "error", "missing", f"pip install '{need}'")
    if need.specifier.contains(found, prereleases=True):
        return Finding(need.name, "ok", found)
    unfit = f"{found}, expected {need.specifier}"
    return Finding(need.name, "error", unfit, f"pip install '{need}'")


def _weights(cache: StyleCache) -> list[Finding]:
    """Check the weights; absent ones are no error, as only rows that name the network need them."""
    store = WeightStore.of_user(None, cache.root)
    states = [state_of(network, store) for network in CATALOGUE.values()]
    return [
        Finding(f"weights of {state.network}", state.state, state.found, state.advice)
        for state in states
    ]


def _connection(around: list[Finding]) -> list[Finding]:
    """Check the proxies and the server."""
    if ("prefect home", "error") in {(finding.subject, finding.state) for finding in around}:
        found = "a run could not start its own server"
        return [Finding("server", "error", found, "fix Prefect's home first")]
    from prefect.settings import get_current_settings

    url = get_current_settings().api.url
    # The proxies come first, because unusable ones are removed before the server is asked.
    return [*_proxies(url), _server(url)]


def _proxies(url: str | None) -> list[Finding]:
    """Report which proxies are set and what they are used for; return no finding if none is set."""
    names = sorted(set_proxies())
    unusable = fix_proxies(url)
    if not names:
        return []
    found = f"{', '.join(names)}: " + (
        "not used for Prefect's server, which is on this machine"
        if is_served_here(url)
        else "used to reach Prefect's server"
    )
    return [
        *(Finding("proxies", "warning", wrong, "correct it, or unset it") for wrong in unusable),
        Finding("proxies", "ok", found),
    ]


def _server(url: str | None) -> Finding:
    if url is None:
        return Finding("server", "ok", "embedded in each run (PREFECT_API_URL is not set)")
    import httpx

    try:
        httpx.get(f"{url.rstrip('/')}/health", timeout=10).raise_for_status()
    except httpx.HTTPError as error:
        advice = "start it with `prefect server start`, or unset PREFECT_API_URL"
        return Finding("server", "error", f"{url}: {error}", advice)
    return Finding("server", "ok", url)


def _devices() -> Finding:
    """Ask another process for the devices, so that a failing TensorFlow does not end this one."""
    question = (
        "import tensorflow as tf; "
        "print(*(device.name.partition(':')[2] for device in tf.config.list_physical_devices()))"
    )
    answer = subprocess.run(
        [sys.executable, "-P", "-c", question], capture_output=True, text=True, check=False
    )
    if answer.returncode:
        last = (answer.stderr.strip().splitlines() or ["no reason given"])[-1]
        return Finding("devices", "error", f"TensorFlow does not load: {last}", "reinstall it")
    names = answer.stdout.split()
    if any("GPU" in name for name in names):
        return Finding("devices", "ok", answer.stdout.strip())
    advice = "with an NVIDIA GPU: pip install 'nst-batch[gpu]'"
    return Finding("devices", "ok", f"{answer.stdout.strip()}; rows run on the CPU", advice)
