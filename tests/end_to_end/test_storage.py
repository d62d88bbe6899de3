"""Manifest, pictures and results on an S3 server and a web server, both on this machine."""

import io
import json
import socket
import threading
import time
from collections.abc import Iterator

import pandas as pd
import pytest
from upath import UPath

from nst_core.storage.files import stat
from nst_core.storage.places import place
from tasks.store.file_reference import FileReference, RecordError
from tests.end_to_end.conftest import QUICK, Shell, clean_environment
from tests.http_server import Answer, serving
from tests.object_storage import SECRET, Bucket, object_storage
from tests.pictures import write_csv

RUN = ["run", "s3://pictures/in/m.csv", "-o", "s3://pictures/out", "--cache", "s3://pictures/cache"]


@pytest.fixture(scope="module")
def storage() -> Iterator[Bucket]:
    with object_storage() as bucket:
        yield bucket


@pytest.fixture
def bucket(storage: Bucket) -> Bucket:
    """Return the bucket, which is empty."""
    storage.empty()
    return storage


@pytest.fixture
def cloud_shell(shell: Shell, bucket: Bucket) -> Shell:
    """Return a shell that finds the bucket, which holds the pictures a, b, s and t."""
    for name in ("a.png", "b.png", "s.png", "t.png"):
        bucket.put(f"in/{name}", (shell.folder / name).read_bytes())
    return Shell(shell.folder, shell.environment | bucket.environment)


def put_manifest(bucket: Bucket, *rows: str) -> None:
    bucket.put("in/m.csv", "\n".join(["content,style", *rows, ""]).encode())


def table_of(bucket: Bucket) -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(bucket.get("out/summary.csv")))


def test_a_tag_identifies_our_bytes_despite_a_later_write(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in bucket.environment.items():
        monkeypatch.setenv(name, value)
    remote = place("s3://pictures/tagged")
    assert isinstance(remote, UPath)
    own_bytes, other_bytes = b"ours", b"else"
    reference = FileReference.write(remote, own_bytes)
    assert reference.tag == stat(remote).tag
    reference.verify()

    write = remote.fs.pipe_file

    def write_and_overwrite(path: str, data: bytes) -> object:
        answer = write(path, data)
        bucket.put("tagged", other_bytes)
        return answer

    monkeypatch.setattr(remote.fs, "pipe_file", write_and_overwrite)
    reference = FileReference.write(remote, own_bytes)
    assert bucket.get("tagged") == other_bytes
    with pytest.raises(RecordError):
        reference.verify()


@pytest.mark.nights
def test_a_batch_in_object_storage_is_made_once(cloud_shell: Shell, bucket: Bucket) -> None:
    put_manifest(bucket, "a.png,s.png", "b.png,s.png", "s3://pictures/in/a.png,../in/t.png")
    first = cloud_shell.run(*RUN, *QUICK)
    assert (first.returncode, first.stderr) == (0, "")
    assert list(table_of(bucket)["status"]) == ["done"] * 3
    assert list(table_of(bucket)["style_targets"]) == ["computed"] * 3
    names = set(bucket.names())
    for row in table_of(bucket).itertuples():
        assert bucket.get(f"out/{row.picture}").startswith(b"\x89PNG")
        assert bucket.get(f"out/{row.curve}").startswith(b"octave,")
    assert sum(name.startswith("cache/styles/targets/") for name in names) == 2
    assert sum(name.startswith("out/.nst-batch/rows/") for name in names) == 3

    planned = cloud_shell.run("plan", *RUN[1:], "--json", *QUICK)
    counts = {"new": 0, "equal": 0, "done": 3, "invalid": 0}
    assert json.loads(planned.stdout)["counts"] == counts

    second = cloud_shell.run(*RUN, *QUICK)
    assert second.returncode == 0
    assert list(table_of(bucket)["status"]) == ["cached"] * 3
    # No temporary object of either run remains.
    assert set(bucket.names()) == names
    assert bucket.unfinished() == []

    # The secret key is in no object, no table, no picture, no log and no database.
    written = [bucket.get(name) for name in bucket.names()]
    written += [path.read_bytes() for path in cloud_shell.folder.rglob("*") if path.is_file()]
    written += [text.encode() for run in (first, second) for text in (run.stdout, run.stderr)]
    assert not any(SECRET.encode() in data for data in written)


@pytest.mark.torture
def test_pictures_equal_those_on_a_disk(cloud_shell: Shell, bucket: Bucket) -> None:
    put_manifest(bucket, "a.png,s.png")
    assert cloud_shell.run(*RUN, *QUICK).returncode == 0
    local = write_csv(cloud_shell.folder / "m.csv", ("content", "style"), ("a.png", "s.png"))
    assert cloud_shell.run("run", local, "-o", "out", *QUICK).returncode == 0
    assert (
        bucket.get("out/pictures/a_s.png")
        == (cloud_shell.folder / "out" / "pictures" / "a_s.png").read_bytes()
    )


@pytest.mark.torture
def test_rows_are_made_again_after_a_loss_or_a_change(cloud_shell: Shell, bucket: Bucket) -> None:
    put_manifest(bucket, "a.png,s.png", "b.png,s.png", "a.png,t.png")
    assert cloud_shell.run(*RUN, *QUICK).returncode == 0
    bucket.delete("out/pictures/a_s.png")
    bucket.put("in/b.png", bucket.get("in/t.png"))
    assert cloud_shell.run(*RUN, *QUICK).returncode == 0
    assert list(table_of(bucket)["status"]) == ["done", "done", "cached"]
    assert set(table_of(bucket)["style_targets"]) == {"hit"}


@pytest.mark.torture
def test_a_changed_picture_of_equal_size_is_noticed(cloud_shell: Shell, bucket: Bucket) -> None:
    """The changed picture has as many bytes as before."""
    put_manifest(bucket, "a.png,s.png", "b.png,s.png")
    assert cloud_shell.run(*RUN, *QUICK).returncode == 0
    first, second = (bucket.get(f"out/pictures/{name}_s.png") for name in "ab")
    changed = bytearray(second)
    changed[-1] ^= 1
    bucket.put("out/pictures/b_s.png", bytes(changed))
    assert cloud_shell.run(*RUN, *QUICK).returncode == 0
    assert list(table_of(bucket)["status"]) == ["cached", "done"]
    assert bucket.get("out/pictures/a_s.png") == first
    assert bucket.get("out/pictures/b_s.png") == second


def on_another_machine(shell: Shell, bucket: Bucket) -> Shell:
    """Return a shell that shares nothing with another one but the bucket and Prefect's server."""
    own = clean_environment(
        shell.folder / "other home", PREFECT_API_URL=shell.environment["PREFECT_API_URL"]
    )
    (shell.folder / "other tmp").mkdir()
    return Shell(
        shell.folder, own | bucket.environment | {"TMPDIR": str(shell.folder / "other tmp")}
    )


@pytest.mark.nights
def test_two_machines_never_run_the_same_rows_at_once(cloud_shell: Shell, bucket: Bucket) -> None:
    other, run = on_another_machine(cloud_shell, bucket), [*RUN[:4], *QUICK]
    late = (cloud_shell.folder / "b.png").read_bytes()
    with serving(Answer(late, sent=0, then="holds", longest_hold=240)) as web:
        put_manifest(bucket, "a.png,s.png", f"{web.url}/late.png,s.png")
        with cloud_shell.start(*run) as first:
            while not web.requests:
                assert first.poll() is None
                time.sleep(0.1)
            refused = other.run(*run)
            web.release()
            first.communicate()
        assert first.returncode == 0
        assert refused.returncode == 2
        assert f"another run is writing there (process {first.pid} of " in refused.stderr
        assert f" on {socket.gethostname()}); wait for it" in refused.stderr
        assert list(table_of(bucket)["status"]) == ["done", "done"]
        assert other.run(*run).returncode == 0
        assert list(table_of(bucket)["status"]) == ["cached", "cached"]
    assert not [name for name in bucket.names() if "/leases/" in name]


@pytest.mark.nights
def test_a_storage_failure_ends_a_run_and_keeps_finished_rows(shell: Shell) -> None:
    with object_storage() as own:
        for number in range(6):
            own.put(f"in/{number}.png", shell.picture(f"{number}.png", 20 + number).read_bytes())
        own.put("in/s.png", (shell.folder / "s.png").read_bytes())
        rows = "".join(f"{number}.png,s.png\n" for number in range(6))
        own.put("in/m.csv", f"content,style\n{rows}".encode())
        cloud = Shell(
            shell.folder,
            # Without this, botocore would retry for a minute each time.
            shell.environment | own.environment | {"AWS_MAX_ATTEMPTS": "1"},
        )
        slow = ["--size", "64", "--steps", "60", "--octaves", "1", "--tolerance", "0"]
        run = cloud.start("run", "s3://pictures/in/m.csv", "-o", "s3://pictures/out", *slow)
        watchdog = threading.Timer(240, run.kill)
        watchdog.start()
        assert run.stdout is not None
        for line in run.stdout:
            if line.startswith("[1/6]"):
                break
    # The server is gone now.
    _, errors = run.communicate()
    watchdog.cancel()
    assert run.returncode == 3
    assert "s3://pictures/out" in errors
    assert "finished rows are kept; rerun the same command to resume" in errors
    assert "Traceback" not in errors


def test_faults_of_places_are_reported_with_line_and_column(
    cloud_shell: Shell, bucket: Bucket
) -> None:
    put_manifest(
        bucket,
        "missing.png,s.png",
        f"s3://someone:{SECRET}@pictures/in/a.png,s.png",
        "odd://a.png,s.png",
        "a.png,s3://no-such-bucket/s.png",
    )
    result = cloud_shell.run("check", "s3://pictures/in/m.csv", "--json", "-o", "s3://pictures/out")
    assert (result.returncode, result.stderr) == (1, "")
    faults = json.loads(result.stdout)["faults"]
    assert [(fault["line"], fault["column"]) for fault in faults] == [
        *((2, "content"), (3, "content"), (4, "content"), (5, "style")),
    ]
    assert "s3://pictures/in/missing.png: expected a picture file" in faults[0]["expected"]
    assert "found credentials in the URL" in faults[1]["expected"]
    assert "begins with s3://" in faults[2]["expected"]
    assert SECRET not in result.stdout
    assert not [name for name in bucket.names() if name.startswith("out/")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "s3://pictures/none.csv", "-o", "out"], "s3://pictures/none.csv: cannot be read"),
        (["run", "in.csv", "-o", "s3://no-such-bucket/out"], "s3://no-such-bucket/out: "),
        pytest.param(
            ["run", "in.csv", "-o", "https://127.0.0.1/out"],
            "https:// is read-only",
            marks=pytest.mark.nights,
        ),
        (["run", "in.csv", "-o", "s3://me:hush@bucket/out"], "found credentials in the URL"),
        pytest.param(
            ["run", "ftp://host/in.csv", "-o", "out"], "begins with s3://", marks=pytest.mark.nights
        ),
        (["run", "https://127.0.0.1/m.csv?s=hush", "-o", "out"], "found a signed URL"),
        (["run", "s3:/pictures/in.csv", "-o", "out"], "a URL needs two slashes"),
        pytest.param(
            ["demo", "s3:/pictures/demo"], "a URL needs two slashes", marks=pytest.mark.nights
        ),
        (["run", "out/summary.csv", "-o", "out"], "would overwrite the manifest"),
        (["cache", "prune", "--cache", "s3://pictures/cache"], "lifecycle rule"),
    ],
)
def test_unusable_places_are_refused(
    cloud_shell: Shell, arguments: list[str], message: str
) -> None:
    write_csv(cloud_shell.folder / "in.csv", ("content", "style"), ("a.png", "s.png"))
    result = cloud_shell.run(*arguments)
    assert result.returncode == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert "hush" not in result.stderr


@pytest.mark.nights
def test_manifest_lists_the_pictures_of_a_bucket(cloud_shell: Shell, bucket: Bucket) -> None:
    result = cloud_shell.run(
        "manifest", "s3://pictures/in/[ab].png", "s.png", "-o", "s3://pictures/new/m.csv"
    )
    assert (result.returncode, result.stderr) == (0, "")
    style = cloud_shell.folder.resolve() / "s.png"
    assert bucket.get("new/m.csv").decode().splitlines() == [
        "content,style",
        f"s3://pictures/in/a.png,{style}",
        f"s3://pictures/in/b.png,{style}",
    ]
    whole_folder = cloud_shell.run("manifest", "s3://pictures/in", "s.png", "-o", "all.csv")
    assert whole_folder.returncode == 0
    assert len((cloud_shell.folder / "all.csv").read_text().splitlines()) == 5


@pytest.mark.nights
def test_a_signed_url_is_read_and_never_shown(shell: Shell) -> None:
    picture = (shell.folder / "a.png").read_bytes()
    with serving(Answer(picture)) as web:
        url = f"{web.url}/photos/my%20cat's.png?a=b'c&signature=hush"
        manifest = write_csv(
            shell.folder / "m.csv", ("content", "style"), (url, "s.png"), (url, "no.png")
        )
        result = shell.run("run", manifest, "-o", "out", *QUICK)
    assert result.returncode == 1
    table = pd.read_csv(shell.folder / "out" / "summary.csv")
    assert list(table["status"]) == ["done", "invalid"]
    assert table["picture"][0] == "pictures/my cat's_s.png"
    assert table["content"][0] == f"{web.url}/photos/my%20cat's.png?..."
    written = [path.read_bytes() for path in (shell.folder / "out").rglob("*") if path.is_file()]
    assert not any(b"hush" in data for data in [*written, result.stdout.encode()])


def test_a_web_server_error_is_reported_without_the_secret(shell: Shell) -> None:
    with serving(Answer(b"no", status=403)) as web:
        url = f"{web.url}/a.png?signature=hush"
        manifest = write_csv(shell.folder / "m.csv", ("content", "style"), (url, "s.png"))
        result = shell.run("check", manifest)
    assert result.returncode == 1
    assert "403" in result.stdout
    assert "hush" not in result.stdout + result.stderr


def test_weights_stay_on_this_machine(cloud_shell: Shell) -> None:
    result = cloud_shell.run("weights", "list", "--cache", "s3://pictures/cache")
    assert result.returncode == 0
    assert "s3://" not in result.stdout
