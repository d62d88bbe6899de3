"""The request of a run: its limits, its checks, and the parameters of the flow."""

import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from nst_core.devices import DeviceError
from nst_core.storage.files import user_cache
from nst_core.storage.places import Place, PlaceError
from nst_core.transfer.file_settings import FileSettings
from nst_core.transfer.presets import PRESETS, Overrides, resolve
from nst_core.transfer.settings import Settings
from tasks.durations import TimeTextError
from tasks.engine.runner_choice import RunnerError
from tasks.intake.manifest import ManifestError
from tasks.option import options_of, with_arguments
from tasks.option_types import Group
from tasks.report.selection import OnlyError
from tasks.request import BatchRequest, CheckRequest, CompleteRequest
from tasks.stopping import Deadline, Limits
from tests.pictures import write_csv


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return write_csv(tmp_path / "m.csv", ("content", "style"), ("a.png", "s.png"))


def request_with(manifest: Path | str, **fields: Any) -> BatchRequest:
    return BatchRequest.model_validate({"manifest": manifest, "output": "out", **fields})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("max_pixels", 0, "greater than or equal to 1"),
        ("save_every", 15, "multiple of 10"),
        ("save_every", 0, "greater than 0"),
        ("retries", -1, "greater than or equal to 0"),
        ("retries", 101, "less than or equal to 100"),
        ("runner", "slurm", "'local', 'ray' or 'dask'"),
        ("served_at", "https://anna:secret@pictures.example", "no user"),
        ("served_at", "pictures.example", "expected http://"),
        ("cache", "ftp://x/y", "expected a path or a URL"),
        ("settings", {"size": 3}, "expected 16 to 8192, or original"),
        ("color", "red", "not permitted"),
    ],
)
def test_values_beyond_the_limits_are_refused(name: str, value: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        request_with("m.csv", **{name: value})


def test_a_request_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        request_with("m.csv").strict = True  # type: ignore[misc]


def test_a_good_request_passes_the_check(manifest: Path, tmp_path: Path) -> None:
    request_with(manifest, output=tmp_path / "out", devices="GPU:0, gpu:1").check(read=True)
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
        request_with(**{"manifest": manifest, **fields}).check()
    assert "key=1" not in str(raised.value)


def test_a_manifest_in_a_place_that_runs_write_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "errors").mkdir()
    inside = write_csv(tmp_path / "errors" / "m.csv", ("content", "style"), ("a.png", "s.png"))
    for once in (False, True):
        with pytest.raises(ManifestError, match="would overwrite the manifest"):
            request_with(inside, output=tmp_path).check(once=once)
    CheckRequest(manifest=inside).check(once=True)


def test_a_pipe_as_manifest_is_refused_unless_it_is_read_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ManifestError, match="this is a pipe"):
        request_with(tmp_path / "pipe").check()
    request_with(tmp_path / "pipe").check(once=True)


def test_a_manifest_that_is_read_once_may_have_a_signed_url() -> None:
    request_with("https://x.example/m.csv?key=1").check(once=True)


def test_the_check_only_reads_the_manifest_on_request(tmp_path: Path) -> None:
    empty = write_csv(tmp_path / "m.csv", ("content", "style"))
    request_with(empty).check()
    with pytest.raises(ManifestError, match="nothing below the header"):
        request_with(empty).check(read=True)


def test_lines_without_a_row_are_refused_when_the_manifest_is_read(manifest: Path) -> None:
    request_with(manifest, only="2").check(read=True)
    request_with(manifest, only="9").check()
    with pytest.raises(OnlyError, match="no row of the manifest begins in this line"):
        request_with(manifest, only="9").check(read=True)


def test_a_complete_request_has_all_defaults_filled_in() -> None:
    complete = request_with("m.csv", devices=" GPU:0, gpu:1", settings={"size": 64}).completed()
    assert isinstance(complete, CompleteRequest)
    # The manifest stays relative, because messages name it as the user does.
    assert complete.manifest == Path("m.csv")
    assert complete.output == Path.cwd() / "out"
    assert complete.cache == user_cache()
    assert complete.devices == "gpu:0,gpu:1"
    assert resolve(complete.settings).size == 64
    assert request_with("m.csv", cache="c").completed().cache == Path.cwd() / "c"


def test_parameters_are_json_and_have_only_the_given_settings() -> None:
    request = request_with("m.csv", cache="s3://bucket/cache", weights="w", settings={"seed": 3})
    assert request.parameters() == {
        "manifest": "m.csv",
        "output": "out",
        "settings": {"seed": 3},
        "weights": "w",
        "cache": "s3://bucket/cache",
        "refresh": False,
        "strict": False,
        "max_pixels": 200_000_000,
        "checkpoint_every": 60.0,
        "retries": 2,
        "devices": "auto",
        "runner": "local",
        "isolate": False,
    }
    assert BatchRequest.model_validate(request.parameters()) == request


def test_the_earlier_of_two_ends_counts() -> None:
    began = 1.8e9
    assert request_with("m.csv").limits(began) == Limits()
    assert request_with("m.csv", row_budget="10m").limits(began) == Limits(row_seconds=600)
    ends = {"until": "2027-01-15T10:00Z", "budget": "1h"}
    assert request_with("m.csv", **ends).limits(began).deadline == Deadline(began + 3600, 3600)
    ends["budget"] = "5h"
    assert request_with("m.csv", **ends).limits(began).deadline == Deadline(began + 7200, 7200)


def test_absolute_places_do_not_depend_on_the_current_folder() -> None:
    request = request_with("m.csv", weights="w", cache="s3://bucket/cache").with_absolute_places()
    here = str(Path.cwd())
    given = request.parameters()
    assert (given["manifest"], given["weights"]) == (f"{here}/m.csv", f"{here}/w")
    assert (given["output"], given["cache"]) == (f"{here}/out", "s3://bucket/cache")


def test_every_field_and_setting_is_an_option_with_a_description() -> None:
    options = list(options_of(BatchRequest))
    names = [option.name for option in options]
    settings = list(Overrides.model_fields)
    assert [name for name in names if name not in settings] == [
        name for name in BatchRequest.model_fields if name != "settings"
    ]
    of_files = set(FileSettings.model_fields)
    assert {option.name for option in options if option.group is Group.LOOK} == {
        *(set(settings) - of_files),
        "weights",
    }
    assert of_files < {option.name for option in options if option.group is Group.OUTPUT}
    assert all(option.field.description for option in options)


def test_options_show_the_defaults_of_the_default_preset() -> None:
    shown = {option.name: option.default for option in options_of(BatchRequest)}
    assert shown["preset"] == "standard"
    assert (shown["enlarge"], shown["match_colors"], shown["strict"]) == ("off", "on", "off")
    for name, value in PRESETS["standard"]:
        if isinstance(value, int | float) and not isinstance(value, bool):
            assert float(shown[name]) == value
    assert Settings() == PRESETS["standard"]


def test_with_arguments_adds_the_fields_to_a_docstring() -> None:
    def function(manifest: Place) -> None:
        """Do it."""

    doc = with_arguments(function).__doc__ or ""
    assert doc.startswith("Do it.\n\nArgs:\n    manifest: CSV file (a path, or")
    assert all(f"\n    {name}: " in doc for name in BatchRequest.model_fields)
    assert max(map(len, doc.splitlines())) <= 96
