"""The flow's parameters are the fields of `BatchRequest`."""

import inspect
from typing import Any

from flows.stylize_manifest import stylize_manifest
from tasks.request import BatchRequest
from tests.pipeline.conftest import Batch

HEADER = ("content", "style")
BY_PREFECT_OR_PYDANTIC = ("title", "position", "description")


def limits(schemas: dict[str, Any]) -> dict[str, Any]:
    """Return the types, defaults and limits in JSON schemas, by name."""
    return {
        name: {key: value for key, value in schema.items() if key not in BY_PREFECT_OR_PYDANTIC}
        for name, schema in schemas.items()
    }


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
        else:
            assert parameter.default == field.default


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
