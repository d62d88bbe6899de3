"""Downloads: complete, verified and made once, whatever the server and other processes do."""

import errno
import hashlib
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nst_core.networks.catalogue import PublishedFile
from nst_core.networks.download import CHUNK, fetch_published
from nst_core.networks.weight_files import WeightsError
from tests.http_server import Answer, Server, closed_port, serving

NAME = "tiny_weights.h5"
BODY = np.random.default_rng(0).bytes(5 * CHUNK + 1000)
DAMAGED = BODY[:-1] + bytes([BODY[-1] ^ 1])
GOOD = Answer(BODY)
CUT_OFF = Answer(BODY, sent=2 * CHUNK)
HELD = Answer(BODY, sent=2 * CHUNK, then="holds")
# A download that waits longer than the tests allow would succeed at its first attempt.
SILENT = replace(HELD, longest_hold=20)
BUSY = Answer(b"", status=500)
QUICK = (0.0, 0.0)

FETCH = """
import sys
from pathlib import Path
from nst_core.networks.catalogue import PublishedFile
from nst_core.networks.download import fetch_published
url, md5, size, folder = sys.argv[1:]
published = PublishedFile(url, md5, int(size))
print("ready", flush=True)
fetch_published(published, Path(folder))
"""


@pytest.fixture(autouse=True)
def _no_proxy_or_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "nst_batch_mirror"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def published_at(url: str) -> PublishedFile:
    return PublishedFile(f"{url}/some/{NAME}", hashlib.md5(BODY).hexdigest(), len(BODY))


def names_in(folder: Path) -> list[str]:
    """Return the names of all files in a folder, except the lock."""
    found = [str(path.relative_to(folder)) for path in folder.rglob("*")]
    return [name for name in found if name != f".{NAME}.lock"]


def failure(
    url: str, folder: Path, timeout: float = 60.0, pauses: tuple[float, ...] = QUICK
) -> str:
    with pytest.raises(WeightsError) as caught:
        fetch_published(published_at(url), folder, timeout=timeout, pauses=pauses)
    return str(caught.value)


def command(server: Server, folder: Path) -> list[str]:
    published = published_at(server.url)
    facts = [published.url, published.md5, str(published.size), str(folder)]
    return [sys.executable, "-c", FETCH, *facts]


def start(server: Server, folder: Path) -> subprocess.Popen[str]:
    """Start a process that downloads into the folder, and wait until it is about to."""
    process = subprocess.Popen(command(server, folder), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_file_is_downloaded_under_its_own_name(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "weights"
    with serving(GOOD) as server:
        path = fetch_published(published_at(server.url), folder)
    assert path == folder / NAME
    assert path.read_bytes() == BODY
    assert names_in(folder) == [NAME]
    assert server.requests == [f"/some/{NAME}"]


@pytest.mark.parametrize("declares_length", [True, False])
def test_progress_grows_to_the_total(tmp_path: Path, declares_length: bool) -> None:
    reports: list[tuple[int, int]] = []
    with serving(Answer(BODY, declares_length=declares_length)) as server:
        fetch_published(
            published_at(server.url),
            tmp_path,
            on_progress=lambda *report: reports.append(report),
        )
    assert {total for _, total in reports} == {len(BODY)}
    done = [count for count, _ in reports]
    assert done == sorted(done)
    assert done[0] == CHUNK
    assert done[-1] == len(BODY)
    assert len(done) <= len(BODY) / CHUNK + 2


def test_an_existing_file_is_not_requested(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(BODY)
    with serving(GOOD) as server:
        assert fetch_published(published_at(server.url), tmp_path) == tmp_path / NAME
    assert server.requests == []
    assert list(tmp_path.iterdir()) == [tmp_path / NAME]


def test_a_checksum_may_be_published_in_uppercase(tmp_path: Path) -> None:
    with serving(GOOD) as server:
        uppercase = PublishedFile(
            f"{server.url}/{NAME}", hashlib.md5(BODY).hexdigest().upper(), len(BODY)
        )
        assert fetch_published(uppercase, tmp_path).read_bytes() == BODY


def test_a_damaged_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(DAMAGED)
    with serving(GOOD) as server:
        path = fetch_published(published_at(server.url), tmp_path)
    assert path.read_bytes() == BODY
    assert names_in(tmp_path) == [NAME]


def test_a_damaged_file_is_kept_and_reported_if_no_download_is_possible(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(DAMAGED)
    message = failure(f"http://127.0.0.1:{closed_port()}", tmp_path)
    assert f"found a file with MD5 {hashlib.md5(DAMAGED).hexdigest()}" in message
    assert (tmp_path / NAME).read_bytes() == DAMAGED


def test_a_file_with_a_wrong_checksum_is_requested_twice_and_not_kept(tmp_path: Path) -> None:
    with serving(Answer(DAMAGED)) as server:
        message = failure(server.url, tmp_path, pauses=(0, 0, 0))
    assert f"Expected MD5 {hashlib.md5(BODY).hexdigest()} ({len(BODY):,} bytes)" in message
    assert f"the server sent a file with MD5 {hashlib.md5(DAMAGED).hexdigest()}" in message
    assert len(server.requests) == 2
    assert names_in(tmp_path) == []


@pytest.mark.parametrize(
    "fault",
    [
        BUSY,
        Answer(b"", status=429),
        CUT_OFF,
        Answer(BODY, sent=2 * CHUNK, declares_length=False),
        Answer(BODY, sent=2 * CHUNK, then="resets"),
        Answer(DAMAGED),
    ],
    ids=lambda fault: f"{fault.status}-{fault.then}-{fault.sent}-{fault.declares_length}",
)
def test_a_download_that_fails_once_is_tried_again(tmp_path: Path, fault: Answer) -> None:
    with serving(fault, GOOD) as server:
        path = fetch_published(published_at(server.url), tmp_path, pauses=QUICK)
    assert path.read_bytes() == BODY
    assert len(server.requests) == 2
    assert names_in(tmp_path) == [NAME]


@pytest.mark.parametrize("sent", [0, 2 * CHUNK])
def test_a_download_that_stalls_is_tried_again(tmp_path: Path, sent: int) -> None:
    with serving(replace(SILENT, sent=sent), GOOD) as server:
        path = fetch_published(published_at(server.url), tmp_path, timeout=0.5, pauses=(0.0,) * 20)
        # There may be more than two requests on a very busy machine.
        assert len(server.requests) >= 2
    assert path.read_bytes() == BODY
    assert names_in(tmp_path) == [NAME]


def test_a_wrong_checksum_after_another_failure_is_also_tried_again(tmp_path: Path) -> None:
    with serving(BUSY, Answer(DAMAGED), GOOD) as server:
        path = fetch_published(published_at(server.url), tmp_path, pauses=QUICK)
    assert path.read_bytes() == BODY


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (BUSY, "the server answered 500 Internal Server Error"),
        (CUT_OFF, f"{2 * CHUNK} bytes read, {len(BODY) - 2 * CHUNK} more expected"),
        (Answer(BODY, sent=2 * CHUNK, then="resets"), "Connection reset by peer"),
    ],
)
def test_a_lasting_failure_is_reported_and_nothing_is_kept(
    tmp_path: Path, fault: Answer, reason: str
) -> None:
    with serving(fault) as server:
        message = failure(server.url, tmp_path)
    assert reason in message
    assert len(server.requests) == 1 + len(QUICK)
    assert names_in(tmp_path) == []


def test_a_silent_server_is_reported_and_nothing_is_kept(tmp_path: Path) -> None:
    with serving(SILENT) as server:
        message = failure(server.url, tmp_path, timeout=0.3)
        assert len(server.requests) == 1 + len(QUICK)
    assert "timed out" in message
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("status", [403, 404])
def test_a_refusal_is_reported_at_once(tmp_path: Path, status: int) -> None:
    with serving(Answer(b"not here", status=status)) as server:
        message = failure(server.url, tmp_path)
    assert f"the server answered {status} " in message
    assert len(server.requests) == 1
    assert names_in(tmp_path) == []


def test_there_are_pauses_between_attempts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    with serving(BUSY) as server:
        failure(server.url, tmp_path, pauses=(1.0, 3.0, 9.0))
    assert pauses == [1.0, 3.0, 9.0]
    assert len(server.requests) == 4


def test_the_message_says_what_to_do_without_a_network(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    # An exception that the caller is handling must not appear in the message.
    try:
        raise KeyError("of the caller")
    except KeyError:
        message = failure(url, tmp_path)
    published = published_at(url)
    assert message == (
        f"{NAME}: cannot be downloaded from {published.url}: "
        f"[Errno {errno.ECONNREFUSED}] Connection refused. "
        f"Expected MD5 {published.md5} ({len(BODY):,} bytes); found no such file in {tmp_path}. "
        "If this machine has no internet access, get the file elsewhere and put it in that folder."
    )


def test_an_impossible_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with serving(GOOD) as server:
        message = failure(server.url, tmp_path / "file" / "weights")
    assert "Not a directory" in message
    assert server.requests == []


def test_an_interrupted_download_leaves_no_file(tmp_path: Path) -> None:
    def interrupt(*_: int) -> None:
        raise KeyboardInterrupt

    with serving(GOOD) as server, pytest.raises(KeyboardInterrupt):
        fetch_published(published_at(server.url), tmp_path, on_progress=interrupt)
    assert names_in(tmp_path) == []


def test_a_file_is_synced_before_it_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    fsync, replace = os.fsync, os.replace

    def noted_fsync(descriptor: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        size = os.fstat(descriptor).st_size
        events.append("folder synced" if is_folder else f"{size} bytes synced")
        fsync(descriptor)

    def noted_replace(old: Path, new: Path) -> None:
        events.append(f"named {Path(new).name}")
        replace(old, new)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    with serving(GOOD) as server:
        fetch_published(published_at(server.url), tmp_path)
    assert events == [f"{len(BODY)} bytes synced", f"named {NAME}", "folder synced"]


def test_two_processes_download_once(tmp_path: Path) -> None:
    with serving(HELD, GOOD) as server:
        processes = [start(server, tmp_path) for _ in range(2)]
        wait_until(lambda: len(server.requests) > 0)
        # In this time, the other process would also send a request if it did not wait.
        time.sleep(1)
        assert not (tmp_path / NAME).exists()
        server.release()
        assert [process.wait(60) for process in processes] == [0, 0]
        assert (len(server.requests), server.completed) == (1, 1)
    assert (tmp_path / NAME).read_bytes() == BODY
    assert names_in(tmp_path) == [NAME]


def test_two_threads_download_once(tmp_path: Path) -> None:
    start_line = threading.Barrier(2)

    def fetch() -> bytes:
        start_line.wait()
        return fetch_published(published_at(server.url), tmp_path).read_bytes()

    with serving(HELD, GOOD) as server, ThreadPoolExecutor(2) as pool:
        results = [pool.submit(fetch) for _ in range(2)]
        wait_until(lambda: len(server.requests) > 0)
        time.sleep(0.2)
        server.release()
        assert [result.result() == BODY for result in results] == [True, True]
        assert len(server.requests) == 1


def test_a_waiting_process_takes_over_if_the_other_one_is_killed(tmp_path: Path) -> None:
    with serving(HELD, GOOD) as server:
        first = start(server, tmp_path)
        wait_until(lambda: len(server.requests) > 0)
        second = start(server, tmp_path)
        first.kill()
        assert second.wait(60) == 0
    assert first.wait(60) == -signal.SIGKILL
    assert (tmp_path / NAME).read_bytes() == BODY
    assert names_in(tmp_path) == [NAME]


@pytest.mark.parametrize("by_hand", [False, True])
def test_remains_of_a_killed_process_are_removed(tmp_path: Path, by_hand: bool) -> None:
    with serving(HELD, GOOD) as server:
        process = start(server, tmp_path)
        wait_until(lambda: any(path.stat().st_size for path in tmp_path.glob(".*/*")))
        process.kill()
        process.wait(60)
        assert not (tmp_path / NAME).exists()
        assert names_in(tmp_path) != []
        if by_hand:
            (tmp_path / NAME).write_bytes(BODY)
        path = fetch_published(published_at(server.url), tmp_path)
        assert path.read_bytes() == BODY
        assert len(server.requests) == (1 if by_hand else 2)
    assert names_in(tmp_path) == [NAME]


@pytest.mark.parametrize("end", ["", "/"])
def test_a_mirror_replaces_the_publisher(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    with serving(GOOD) as server:
        monkeypatch.setenv("NST_BATCH_MIRROR", f"{server.url}/inside{end}")
        path = fetch_published(published_at(f"http://127.0.0.1:{closed_port()}"), tmp_path)
    assert path.read_bytes() == BODY
    assert server.requests == [f"/inside/{NAME}"]


def test_a_mirror_is_not_trusted_more_than_the_publisher(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(Answer(DAMAGED)) as server:
        monkeypatch.setenv("NST_BATCH_MIRROR", server.url)
        message = failure("http://publisher.invalid", tmp_path)
    assert f"from {server.url}/{NAME} (NST_BATCH_MIRROR; published at http://pub" in message
    assert hashlib.md5(DAMAGED).hexdigest() in message
    assert names_in(tmp_path) == []


@pytest.mark.parametrize(
    "mirror", ["http://anne:secret@{}", "ftp://anne:secret@{}", "http://anne:secret@{}:x"]
)
def test_a_password_in_a_mirror_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mirror: str
) -> None:
    monkeypatch.setenv("NST_BATCH_MIRROR", mirror.format(f"127.0.0.1:{closed_port()}"))
    message = failure("http://publisher.invalid", tmp_path)
    assert "secret" not in message
    assert "//127.0.0.1:" in message


@pytest.mark.parametrize("mirror", ["/mnt/weights", "ftp://inside/weights", "http://"])
def test_a_mirror_that_is_no_url_is_reported_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mirror: str
) -> None:
    monkeypatch.setenv("NST_BATCH_MIRROR", mirror)
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("tried again"))
    assert "NST_BATCH_MIRROR" in failure("http://publisher.invalid", tmp_path)


def test_proxies_of_the_environment_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(GOOD) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        path = fetch_published(published_at("http://publisher.invalid"), tmp_path)
    assert path.read_bytes() == BODY
    assert proxy.requests == [f"http://publisher.invalid/some/{NAME}"]


def test_nothing_is_printed(tmp_path: Path) -> None:
    # This needs its own process, because pooch's logger keeps the stderr of its import.
    with serving(GOOD) as server:
        done = subprocess.run(command(server, tmp_path), capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("ready\n", "")


def test_importing_the_module_imports_no_http_library() -> None:
    code = (
        "import sys, nst_core.networks.download\n"
        "print(sorted({'pooch', 'requests', 'urllib3'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
