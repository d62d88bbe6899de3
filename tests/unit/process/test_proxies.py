"""Proxies, which a run never uses to reach a server on this machine."""

import http.server
import socket
import threading
from collections.abc import Iterator

import httpx
import pytest
from websockets.proxy import get_proxy
from websockets.uri import parse_uri

from flows.process.proxies import (
    bypass_proxies,
    fix_proxies,
    is_on_this_machine,
    remove_unusable,
)

# Nothing listens at these addresses.
DEAD = ("http://127.0.0.1:9", "https://127.0.0.1:9", "127.0.0.1:9", "socks5://127.0.0.1:9")
NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


class Quiet(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Yield the port of a server on this machine that answers every request."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*NAMES, "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.parametrize("is_lower", [False, True])
@pytest.mark.parametrize("proxy", DEAD)
@pytest.mark.parametrize("name", NAMES)
def test_a_local_server_is_reached_without_a_proxy(
    monkeypatch: pytest.MonkeyPatch, port: int, name: str, proxy: str, is_lower: bool
) -> None:
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv(name.lower() if is_lower else name, proxy)
    assert fix_proxies(None) == []
    for host in ("127.0.0.1", "localhost"):
        assert httpx.get(f"http://{host}:{port}/").status_code == 204
        assert get_proxy(parse_uri(f"ws://{host}:{port}/")) is None


@pytest.mark.parametrize("host", ["127.0.0.2", "127.1.2.3", "[::1]"])
def test_any_address_of_this_machine_is_reached_without_a_proxy(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    for name in NAMES:
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    fix_proxies(f"http://{host}:4200/api")
    assert get_proxy(parse_uri(f"ws://{host}:4200/api")) is None
    with httpx.Client() as client:
        # This is the transport that httpx uses without a proxy.
        transport = client._transport_for_url(httpx.URL(f"http://{host}:4200/api"))
        assert transport is client._transport


def test_other_addresses_keep_their_proxies_and_users_their_exceptions() -> None:
    environment = {
        "HTTPS_PROXY": "http://proxy.example:3128",
        "NO_PROXY": "intra.example, 10.0.0.1",
    }
    bypass_proxies("http://prefect.example:4200/api", environment)
    assert environment["HTTPS_PROXY"] == "http://proxy.example:3128"
    expected = "intra.example,10.0.0.1,localhost,127.0.0.1,::1"
    assert environment["NO_PROXY"] == environment["no_proxy"] == expected
    bypass_proxies(None, environment)
    assert environment["NO_PROXY"] == expected


def test_without_proxies_nothing_is_changed() -> None:
    environment = {"PATH": "/bin", "HTTP_PROXY": ""}
    bypass_proxies(None, environment)
    assert environment == {"PATH": "/bin", "HTTP_PROXY": ""}


def test_an_unusable_proxy_is_left_out_and_reported_without_its_password() -> None:
    environment = {
        "ALL_PROXY": "socks://user:secret@127.0.0.1:9/",
        "http_proxy": "http://127.0.0.1:port",
        "HTTPS_PROXY": "socks5://127.0.0.1:9",
    }
    messages = remove_unusable(environment)
    assert environment == {"HTTPS_PROXY": "socks5://127.0.0.1:9"}
    assert [line.partition(":")[0] for line in messages] == ["ALL_PROXY", "http_proxy"]
    assert "its scheme is 'socks'" in messages[0]
    assert "secret" not in "".join(messages)


def test_names_and_addresses_of_this_machine_are_recognized() -> None:
    local_hosts = (
        "localhost",
        "LOCALHOST",
        "127.0.0.1",
        "127.9.9.9",
        "::1",
        "0.0.0.0",
        "a.localhost",
    )
    assert all(map(is_on_this_machine, (*local_hosts, socket.gethostname())))
    # Addresses for documentation, which no machine has.
    assert not any(map(is_on_this_machine, ("192.0.2.1", "2001:db8::1", "prefect.example", "")))
