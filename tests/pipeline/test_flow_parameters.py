"""The flow's parameters are the fields of `BatchRequest`."""

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect.utilities.schema_tools.validation import validate
from pydantic import TypeAdapter

from flows.stylize_manifest import stylize_manifest
from nst_core.transfer.allowed import plain_schema
from nst_core.transfer.presets import PRESETS
from tasks.option import without_empty
from tasks.option_types import MaxRows, Maybe, MaybeNumber, WebUrl
from tasks.request import BatchRequest
from tests.pipeline.conftest import Batch

HEADER = ("content", "style")
BY_PREFECT_OR_PYDANTIC = ("title", "position", "description")
SCHEMA = stylize_manifest.parameters.model_dump()
OPTIONAL = [name for name, field in BatchRequest.model_fields.items() if field.default is None]
EMPTY = ("", 0)
"""What means that an optional parameter is left out."""


def limits(schemas: dict[str, Any]) -> dict[str, Any]:
    """Return the types, defaults and limits in JSON schemas, by name.

    Those of an optional parameter are those of its values; its default is None, or means the same.
    """
    return {
        name: {key: value for key, value in schema.items() if key not in BY_PREFECT_OR_PYDANTIC}
        if name not in OPTIONAL
        else {key: plain_schema(schema).get(key) for key in ("type", "format", "multipleOf")}
        for name, schema in schemas.items()
    }


def is_accepted(**parameters: Any) -> bool:
    """Return whether Prefect's server accepts a run with these parameters."""
    return not validate({"manifest": "m.csv", "output": "out", **parameters}, SCHEMA)


def test_parameters_have_the_names_order_types_and_limits_of_the_fields() -> None:
    flow = stylize_manifest.parameters.model_dump()
    request = BatchRequest.model_json_schema()
    flow_limits, request_limits = limits(flow["properties"]), limits(request["properties"])
    # Prefect and pydantic write the reference and the default of the settings differently.
    assert flow_limits.pop("settings")["$ref"] == "#/definitions/Overrides"
    assert request_limits.pop("settings")["$ref"] == "#/$defs/Overrides"
    assert flow_limits == request_limits
    assert flow["definitions"] == request["$defs"]
    assert flow["required"] == request["required"]
    positions = {name: schema["position"] for name, schema in flow["properties"].items()}
    assert sorted(positions, key=positions.__getitem__) == list(BatchRequest.model_fields)
    assert list(inspect.signature(stylize_manifest.fn).parameters) == list(positions)


def test_defaults_in_the_signature_are_those_of_the_fields() -> None:
    for name, parameter in inspect.signature(stylize_manifest.fn).parameters.items():
        field = BatchRequest.model_fields[name]
        if field.is_required():
            assert parameter.default is inspect.Parameter.empty
        elif name in OPTIONAL:
            assert parameter.default in EMPTY
        else:
            assert parameter.default == field.default


def types_in(schema: Any) -> Iterator[Any]:
    """Yield what a JSON schema says about types, wherever it does."""
    if isinstance(schema, dict):
        for said in (schema[key] for key in ("anyOf", "oneOf", "type") if key in schema):
            yield from said if isinstance(said, list) else [said]
        for inner in schema.values():
            yield from types_in(inner)


def test_no_input_of_prefects_form_is_a_switch_between_types() -> None:
    assert set(types_in(SCHEMA)) == {"object", "string", "integer", "number", "boolean"}
    named = {**SCHEMA["properties"], **SCHEMA["definitions"]["Overrides"]["properties"]}
    untyped = [name for name, each in named.items() if not {"type", "$ref"} & each.keys()]
    assert untyped == ["size"], "a number or original, which is an input for JSON"
    # Prefect's form has inputs for single types, and fails at a list of them.
    assert all(isinstance(schema.get("type", ""), str) for schema in named.values())
    assert all(schema.get("default", "") is not None for schema in named.values())


def test_prefects_form_has_limits_and_choices() -> None:
    settings = SCHEMA["definitions"]["Overrides"]["properties"]
    assert settings["preset"]["enum"] == list(PRESETS)
    assert (settings["size"]["minimum"], settings["size"]["maximum"]) == (16, 8192)
    assert settings["style_rotations"]["enum"] == [1, 2, 4]
    assert SCHEMA["properties"]["runner"]["enum"] == ["local", "ray", "dask"]


def test_prefects_server_accepts_a_form_that_is_left_as_it_is() -> None:
    defaults = {
        name: schema["default"]
        for name, schema in SCHEMA["properties"].items()
        if "default" in schema
    }
    assert set(defaults) == set(BatchRequest.model_fields) - {"manifest", "output"}
    assert is_accepted(**defaults)
    assert is_accepted(settings={"size": None, "seed": None, "steps": 30})
    request = BatchRequest(**without_empty({"manifest": "m.csv", "output": "out", **defaults}))
    assert request == BatchRequest(manifest=Path("m.csv"), output=Path("out"))


@pytest.mark.parametrize("size", [512, "original"])
def test_deployments_may_store_a_size_as_a_number_or_as_original(size: int | str) -> None:
    assert is_accepted(settings={"size": size})


@pytest.mark.parametrize(
    "wrong",
    [
        *({"limit": -1}, {"save_every": 15}, {"served_at": "ftp://a"}, {"runner": "slurm"}),
        *({"settings": {"size": 3}}, {"settings": {"size": 99.5}}, {"settings": {"size": "big"}}),
        *({"settings": {"color": "red"}}, {"settings": {"sice": 3}}),
    ],
)
def test_prefects_server_refuses_what_is_out_of_range(wrong: dict[str, Any]) -> None:
    assert not is_accepted(**wrong)


def test_only_what_means_nothing_is_left_out() -> None:
    given = {"checkpoint_every": 0, "retries": 0, "refresh": False, "only": "", "limit": 0}
    assert without_empty(given) == {"checkpoint_every": 0, "retries": 0, "refresh": False}


@pytest.mark.parametrize("empty", ["", 0, "0", " ", None])
def test_what_a_form_sends_for_nothing_is_validated_to_none(empty: object) -> None:
    assert TypeAdapter(MaybeNumber[MaxRows]).validate_python(empty) is None
    if empty not in (0, "0"):
        assert TypeAdapter(Maybe[WebUrl]).validate_python(empty) is None
    assert TypeAdapter(MaybeNumber[MaxRows]).validate_python("3") == 3


def test_prefect_shows_the_descriptions_of_the_fields() -> None:
    shown = stylize_manifest.parameters.properties
    for name, field in BatchRequest.model_fields.items():
        assert " ".join(shown[name]["description"].split()).startswith(str(field.description))
    assert shown["weights"]["description"].endswith("if not given: $NST_BATCH_WEIGHTS.")
    assert stylize_manifest.description.startswith("Stylize the rows of a manifest")


def test_the_flow_takes_the_parameters_of_a_request(batch: Batch) -> None:
    batch.run(HEADER, ("a.png", "s.png"))
    request = BatchRequest.model_validate(
        {
            "manifest": batch.folder / "m.csv",
            "output": batch.output,
            "cache": batch.cache,
            "settings": {"size": "32", "steps": 2, "octaves": 1, "optimizer": "adam"},
            "devices": " CPU ",
        }
    )
    state = stylize_manifest(**request.parameters(), return_state=True)
    assert state.message == "1 cached"
