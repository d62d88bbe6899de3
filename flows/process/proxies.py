"""Direct connections to addresses on this machine, whatever proxies the user has set."""

import contextlib
import ipaddress
import os
import socket
from collections.abc import MutableMapping
from urllib.parse import urlsplit

ALWAYS_DIRECT = ("localhost", "127.0.0.1", "::1")
PROXIES = ("http_proxy", "https_proxy", "all_proxy")
"""The variables that Prefect's client reads, in lower or upper case."""


def is_on_this_machine(host: str) -> bool:
    """Return whether a host's name or address is this machine's own; ask no other machine."""
    name = host.lower().rstrip(".")
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        here = socket.gethostname().lower()
        return name in ("localhost", here, here.partition(".")[0]) or name.endswith(".localhost")
    if address.is_loopback:
        return True
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    # A machine can bind only its own addresses.
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.bind((name, 0))
        return True
    return False


def bypass_proxies(url: str | None, environment: MutableMapping[str, str] = os.environ) -> None:
    """Make this process and its children connect to this machine without a proxy.

    What the user has in `NO_PROXY` stays there, and other addresses keep their proxies.

    Args:
        url: the URL of Prefect's API; None if the API will be on this machine.
        environment: the environment to change.
    """
    if not set_proxies(environment):
        return
    direct = list(ALWAYS_DIRECT)
    host = urlsplit(url).hostname if url else None
    if host and host not in direct and is_on_this_machine(host):
        direct.append(host)
    # Libraries prefer the lower-case name if both are set.
    exceptions = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    named = [name.strip() for name in exceptions.split(",") if name.strip()]
    extended = ",".join([*named, *(name for name in direct if name not in named)])
    environment["no_proxy"] = environment["NO_PROXY"] = extended


def is_served_here(url: str | None) -> bool:
    """Return whether Prefect's API is, or will be, on this machine."""
    return not url or is_on_this_machine(urlsplit(url).hostname or "")


def fix_proxies(url: str | None, environment: MutableMapping[str, str] = os.environ) -> list[str]:
    """Let no proxy come between this process and a server on this machine.

    Args:
        url: the URL of Prefect's API; None if the API will be on this machine.
        environment: the environment to change.

    Returns:
        What is wrong with the proxies that had to be removed.
    """
    bypass_proxies(url, environment)
    return remove_unusable(environment) if is_served_here(url) else []


def set_proxies(environment: MutableMapping[str, str] = os.environ) -> dict[str, str]:
    """Return the proxies that are set, by the names of their variables as they are spelled."""
    return {name: value for name, value in environment.items() if name.lower() in PROXIES and value}


def remove_unusable(environment: MutableMapping[str, str] = os.environ) -> list[str]:
    """Remove proxies that would break every client of Prefect's, even one that needs no proxy.

    Returns:
        What is wrong with each, for people; without its value, which may contain a password.
    """
    unusable = []
    for name, value in set_proxies(environment).items():
        wrong = _wrong_with(value)
        if wrong:
            del environment[name]
            unusable.append(f"{name}: {wrong}; this run ignores it")
    return unusable


def _wrong_with(proxy: str) -> str:
    import httpx

    try:
        # httpx itself reads the environment like this.
        httpx.Proxy(proxy if "://" in proxy else f"http://{proxy}")
    except (ValueError, httpx.InvalidURL):
        scheme = proxy.partition("://")[0] if "://" in proxy else "http"
        return (
            f"Prefect's client cannot use it (its scheme is {scheme!r}); expected "
            "http://HOST:PORT, https://..., socks5://... or socks5h://..."
        )
    return ""
