"""The request of a run: the limits of its fields, and the parameters of the flow."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from nst_core.storage.files import user_cache
from nst_core.storage.places import Place
from nst_core.transfer.file_settings import FileSettings
from nst_core.transfer.presets import PRESETS, Overrides, resolve
from nst_core.transfer.settings import Settings
from tasks.option import OFTEN_WANTED, options_of, with_arguments
from tasks.option_types import Group
from tasks.request import BatchRequest, CompleteRequest


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
        ("settings", {"size": 3}, "expected a whole number from 16 to 8192, or original"),
        ("color", "red", "not permitted"),
    ],
)
def test_values_beyond_the_limits_are_refused(name: str, value: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        request_with("m.csv", **{name: value})


def test_a_request_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        request_with("m.csv").strict = True  # type: ignore[misc]


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
    often = {option.name for option in options if option.group is Group.OFTEN}
    assert often == set(OFTEN_WANTED)
    assert {option.name for option in options if option.group is Group.LOOK} == {
        *(set(settings) - of_files - often),
        "weights",
    }
    assert of_files - often < {option.name for option in options if option.group is Group.OUTPUT}
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
