"""The checks of a request before any work, and the limits that its times set."""

import os
from pathlib import Path

import pytest

from nst_core.devices import DeviceError
from nst_core.storage.places import PlaceError
from tasks.durations import TimeTextError
from tasks.engine.runner_choice import RunnerError
from tasks.intake.manifest import ManifestError
from tasks.report.selection import OnlyError
from tasks.request import BatchRequest, CheckRequest
from tasks.request_checks import (
    check_request,
    limits_of,
    until_fixed,
)
from tasks.stopping import Deadline, Limits
from tests.pictures import write_csv
from tests.unit.test_request import request_with


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return write_csv(tmp_path / "m.csv", ("content", "style"), ("a.png", "s.png"))


def test_a_good_request_passes_the_check(manifest: Path, tmp_path: Path) -> None:
    good = request_with(manifest, output=tmp_path / "out", devices="GPU:0, gpu:1")
    check_request(good, read=True)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"manifest": "https://x.example/m.csv?key=1"}, PlaceError, "signed"),
        ({"output": "https://x.example/out?key=1"}, PlaceError, "signed"),
        ({"cache": "https://x.example/cache?key=1"}, PlaceError, "signed"),
        ({"devices": "gpu0"}, DeviceError, "expected auto, gpu, cpu"),
        ({"devices": "cpu,cpu"}, DeviceError, "expected auto, gpu, cpu"),
        ({"devices": "gpu:1,gpu:1"}, DeviceError, "twice"),
        ({"until": "6 Uhr"}, TimeTextError, "--until: found '6 Uhr'; expected a time such as"),
        ({"until": ""}, TimeTextError, "--until: found ''; expected a time such as"),
        ({"until": "2020-01-01T06:00"}, TimeTextError, "which is past; expected a time after"),
        ({"budget": "5"}, TimeTextError, "--budget: found '5'; expected a duration such as 5h"),
        ({"row_budget": "0s"}, TimeTextError, "--row-budget: found '0s'; expected a duration"),
        ({"only": "faild"}, OnlyError, "--only: found 'faild'; expected statuses"),
        ({"isolate": True, "runner": "ray"}, RunnerError, "--isolate: found --runner ray, whose w"),
        ({"isolate": True, "runner": "dask"}, RunnerError, "expected --runner local; leave out"),
        ({"address": "tcp://127.0.0.1:8786"}, RunnerError, "--runner ray or --runner dask, too"),
    ],
)
def test_bad_requests_are_refused_before_any_work(
    manifest: Path, fields: dict[str, str], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as raised:
        check_request(request_with(**{"manifest": manifest, **fields}))
    assert "key=1" not in str(raised.value)


def test_a_manifest_in_a_place_that_runs_write_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "errors").mkdir()
    inside = write_csv(tmp_path / "errors" / "m.csv", ("content", "style"), ("a.png", "s.png"))
    for once in (False, True):
        with pytest.raises(ManifestError, match="would overwrite the manifest"):
            check_request(request_with(inside, output=tmp_path), once=once)
    check_request(CheckRequest(manifest=inside), once=True)


def test_a_pipe_as_manifest_is_refused_unless_it_is_read_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ManifestError, match="this is a pipe"):
        check_request(request_with(tmp_path / "pipe"))
    check_request(request_with(tmp_path / "pipe"), once=True)


def test_a_manifest_that_is_read_once_may_have_a_signed_url() -> None:
    check_request(request_with("https://x.example/m.csv?key=1"), once=True)


def test_the_check_only_reads_the_manifest_on_request(tmp_path: Path) -> None:
    empty = write_csv(tmp_path / "m.csv", ("content", "style"))
    check_request(request_with(empty))
    with pytest.raises(ManifestError, match="nothing below the header"):
        check_request(request_with(empty), read=True)


def test_lines_without_a_row_are_refused_when_the_manifest_is_read(manifest: Path) -> None:
    check_request(request_with(manifest, only="2"), read=True)
    check_request(request_with(manifest, only="9"))
    with pytest.raises(OnlyError, match="no row of the manifest begins in this line"):
        check_request(request_with(manifest, only="9"), read=True)


def test_a_time_of_day_stays_the_same_moment_for_a_flow_that_begins_late() -> None:
    asked = 1.8e9
    request = BatchRequest.model_validate(
        {"manifest": "m.csv", "output": "out", "until": "10:00 UTC"}
    )
    at = limits_of(request, asked).deadline.at
    fixed = until_fixed(request, at)
    late = at + 5
    assert limits_of(request, late).deadline.at == at + 86_400
    assert limits_of(fixed, late, late=True).deadline == Deadline(at, -5)
    with pytest.raises(TimeTextError, match="which is past"):
        limits_of(fixed, late)


def test_the_earlier_of_two_ends_counts() -> None:
    began = 1.8e9
    assert limits_of(request_with("m.csv"), began) == Limits()
    assert limits_of(request_with("m.csv", row_budget="10m"), began) == Limits(row_seconds=600)
    ends = {"until": "2027-01-15T10:00Z", "budget": "1h"}
    assert limits_of(request_with("m.csv", **ends), began).deadline == Deadline(began + 3600, 3600)
    ends["budget"] = "5h"
    assert limits_of(request_with("m.csv", **ends), began).deadline == Deadline(began + 7200, 7200)
