"""`nst-batch doctor`: what works on this machine, and how to fix what does not."""

import math
import platform
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement

from flows.cli.commands.weights import state_of
from flows.cli.exit_codes import ENGINE_FAILED, SUCCESS
from flows.cli.gpu_findings import ask_tensorflow, gpu_findings, lock_findings
from flows.cli.preconditions import Finding, surroundings
from flows.cli.terminal import Terminal
from flows.cli.verdict import verdict_on
from flows.process.proxies import fix_proxies, is_served_here, set_proxies
from nst_core.devices import ask_nvml
from nst_core.networks import CATALOGUE
from nst_core.networks.store import WeightStore
from nst_core.storage.local import free_bytes
from nst_core.storage.places import redacted
from tasks.store.output_folder import OutputFolder
from tasks.store.style_cache import StyleCache


def doctor(terminal: Terminal, cache: StyleCache, output: OutputFolder | None = None) -> int:
    """Check versions, devices, server, cache and weights; fail if a run would fail.

    Args:
        terminal: where the findings and the verdict are printed.
        cache: the cache in use.
        output: the output folder, if that is to be checked, too.
    """
    # These checks come first, because Prefect cannot even be imported without a home.
    around = surroundings(cache, output)
    facts, nvml = ask_tensorflow(), ask_nvml()
    space, locks = _space(cache, output), lock_findings(nvml.gpus)
    packages = _packages()
    findings = [_python(), *packages, *around, *space, *_weights(cache), *_connection(around)]
    findings += [*gpu_findings(facts, nvml), *locks]
    verdict = verdict_on(findings, " and ".join(facts.gpus) or "the CPU", [*space, *locks])
    for line in (*verdict.lines(), ""):
        terminal.say(line)
    terminal.table([asdict(finding) for finding in _in_short(findings, packages)])
    # The verdict is added to the list, so that programs from before the verdict can read it.
    terminal.result([asdict(finding) for finding in (*findings, verdict.finding())])
    return ENGINE_FAILED if verdict.state == "error" else SUCCESS


def _space(cache: StyleCache, output: OutputFolder | None) -> list[Finding]:
    """Report the free space of each folder that has a limit; `surroundings` judges it."""
    folders = {"cache": cache.root}
    if output is not None:
        folders["output"] = output.root
    with suppress(OSError):
        folders["temporary folder"] = Path(tempfile.gettempdir())
    findings = []
    for name, folder in folders.items():
        with suppress(OSError):
            # Object storage has no end.
            if math.isfinite(free := free_bytes(folder)):
                found = f"{free / 1e9:.1f} GB at {redacted(folder)}"
                findings.append(Finding(f"free space, {name}", "ok", found))
    return findings


def _in_short(findings: Sequence[Finding], packages: Sequence[Finding]) -> list[Finding]:
    """Return findings for people, with one line for all packages that fit."""
    fit = [finding for finding in packages if finding.state == "ok"]
    found = f"{len(fit)} have versions that this program knows (--json lists them)"
    others = [finding for finding in findings if finding not in fit]
    return [*others, Finding("packages", "ok", found)]


def _python() -> Finding:
    return Finding("python", "ok", f"{platform.python_version()} at {sys.executable}")


def _packages() -> list[Finding]:
    needed = [Requirement(text) for text in requires("nst-batch") or []]
    without_extras = [
        need for need in needed if not need.marker or need.marker.evaluate({"extra": ""})
    ]
    return [*map(_version, without_extras)]


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
