"""What people are told about command lines that cannot be used."""

import re
from contextlib import suppress

import pytest
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from flows.cli.app import app
from nst_core.transfer.allowed import allowed, expected_by, nearest, plain_schema
from nst_core.transfer.presets import Overrides
from tasks.option import schemas_of
from tasks.request import BatchRequest

HELP = "`nst-batch {} --help` shows the options and an example"
PRESETS = "'draft', 'standard', 'fine', 'article', 'gatys' or 'neural-style'"
SWITCH = "expected true or false (or yes or no, on or off, 1 or 0)"


def told(line: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return the lines on standard error, and check the exit code."""
    try:
        code = app(line.split(), result_action="return_value")
    except SystemExit as end:
        code = 2 if end.code == 1 else end.code
    shown = capsys.readouterr()
    assert (code, shown.out) == (2, "")
    return shown.err.splitlines()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "run m.csv -o out --limt 3",
            ["error: --limt: nst-batch run has no such option", "hint: did you mean --limit?"],
        ),
        (
            "run m.csv -o out --quite",
            ["error: --quite: nst-batch run has no such option", "hint: did you mean --quiet?"],
        ),
        (
            "run m.csv -o out --style_wieght=3",
            [
                "error: --style_wieght: nst-batch run has no such option",
                "hint: did you mean --style-weight?",
            ],
        ),
        (
            "check m.csv --fps 3",
            [
                "error: --fps: nst-batch check has no such option",
                "hint: --fps is an option of nst-batch animate",
            ],
        ),
        (
            "demo s3:/pictures/demo",
            [
                (
                    "error: FOLDER: s3:/pictures/demo: a URL needs two slashes (a pathlib.Path "
                    "drops one); expected s3://pictures/demo"
                ),
            ],
        ),
        (
            "demo s3://me:hush@bucket/x",
            [
                (
                    "error: FOLDER: s3://bucket/x: found credentials in the URL; keep them where "
                    "the storage service's own tools look for them (such as AWS_* variables or "
                    "~/.aws) and leave them out here"
                ),
            ],
        ),
        (
            "check m.csv --xyzzy",
            [
                "error: --xyzzy: nst-batch check has no such option",
                f"hint: {HELP.format('check')}",
            ],
        ),
        ("rnu m.csv", ["error: there is no command 'rnu'", "hint: did you mean run?"]),
        (
            "weights xyz",
            [
                "error: there is no command 'weights xyz'",
                "hint: the commands are convert, fetch, list, normalize, show",
            ],
        ),
        (
            "manifest a b",
            [
                "error: --output is missing; expected the CSV file to write",
                f"hint: {HELP.format('manifest')}",
            ],
        ),
        (
            "animate out 3 --fps",
            [
                "error: --fps: found nothing after it; expected frames per second of a film",
                f"hint: {HELP.format('animate')}",
            ],
        ),
        (
            "plan m.csv",
            [
                "error: --output is missing; expected a folder for pictures, loss curves",
                f"hint: {HELP.format('plan')}",
            ],
        ),
        (
            "presets draft",
            [
                "error: nst-batch presets takes no names; found 'draft'",
                f"hint: {HELP.format('presets')}",
            ],
        ),
        (
            "weights list vgg19",
            [
                "error: nst-batch weights list takes no names; found 'vgg19'",
                f"hint: {HELP.format('weights list')}",
            ],
        ),
        (
            "completion bash zsh",
            [
                "error: 'zsh' is one argument too many",
                f"hint: {HELP.format('completion')}",
            ],
        ),
        ("demo a b", ["error: 'b' is one argument too many", "hint: put quotes around names"]),
        (
            "animate out 3 --fps x",
            ["error: --fps: found 'x'; expected a number above 0, at most 50"],
        ),
        ("animate out 3 --fps 99", ["error: --fps: found '99'; expected a number above 0, at m"]),
        (
            "animate out 3 --size 1.5",
            ["error: --size: found '1.5'; expected a whole number fro"],
        ),
        (
            "animate out 3 --format gfi",
            [
                "error: --format: found 'gfi'; expected 'webp', 'gif' or 'apng'",
                "hint: did you mean gif?",
            ],
        ),
        (
            "run m.csv -o out --enlarge=perhaps",
            [f"error: --enlarge: found 'perhaps'; {SWITCH}, or just --enlarge or --no-enlarge"],
        ),
        (
            "run m.csv -o out --strict=perhaps",
            [f"error: --strict: found 'perhaps'; {SWITCH}, or just --strict"],
        ),
        (
            "run m.csv -o out --strength 50%",
            ["error: --strength: found '50%'; expected a number from 0 to 1; write 0.5"],
        ),
        ("completion tcsh", ["error: SHELL: found 'tcsh'; expected 'bash', 'zsh' or 'fish'"]),
        (
            "run m.csv -o out --preset fien --size big --strength 3 --seed -1 --max-pixels 0",
            [
                f"error: --preset: found 'fien'; expected {PRESETS}; did you mean 'fine'?",
                "error: --size: found 'big'; expected a whole number from 16 to 8192",
                "error: --strength: found '3'; expected a number from 0 to 1",
                "error: --seed: found '-1'; expected a whole number, at least 0, below 2147483648",
                "error: --max-pixels: found '0'; expected a whole number, at least 1",
            ],
        ),
    ],
)
def test_a_mistake_is_explained(
    line: str, expected: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    shown = told(line, capsys)
    assert len(shown) == len(expected)
    for one, start in zip(shown, expected, strict=True):
        assert one.startswith(start)


def faults_of(model: type[BaseModel], values: dict[str, object]) -> list[ErrorDetails]:
    names = {name: values[name] for name in values if name in model.model_fields}
    try:
        model.model_validate(names)
    except ValidationError as error:
        return error.errors()
    return []


def test_pydantics_phrases_are_never_shown() -> None:
    """Every field of a request gets values of every wrong kind."""
    schemas = schemas_of(BatchRequest)
    phrases = re.compile("Input should|valid (integer|number|boolean|string)|unable to|Value error")
    wrong = ("", "x", "-1", "1.5", "1e99", "nan", "inf", "9" * 30, [], {}, None, -5, b"\xff")
    found = 0
    for model in (Overrides, BatchRequest):
        for name in model.model_fields:
            for value in wrong:
                with suppress(TypeError):
                    faults = faults_of(model, {"manifest": "m", "output": "o", name: value})
                    for fault in (fault for fault in faults if fault["loc"][0] == name):
                        said = expected_by(fault, schemas[name])
                        assert not phrases.search(said), (name, value, said)
                        assert said.startswith("expected") or fault["type"] == "value_error"
                        found += 1
    assert found > 200


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 3}, "whole number from 1 to 3"),
        ({"type": "number", "exclusiveMinimum": 0}, "number above 0"),
        ({"type": "integer", "multipleOf": 10}, "multiple of 10"),
        ({"enum": ["a", "b", "c"]}, "'a', 'b' or 'c'"),
        ({"enum": ["a"]}, "'a'"),
        ({"type": "boolean"}, "true or false"),
        ({"anyOf": [{"type": "null"}, {"type": "string"}]}, "text"),
        ({"type": "string", "format": "path"}, "path"),
        ({"type": "number", "allowed": "0, or more"}, "0, or more"),
    ],
)
def test_what_is_allowed_is_said_in_words(schema: dict[str, object], words: str) -> None:
    assert allowed(schema) == words


def test_an_optional_field_is_described_without_null() -> None:
    assert plain_schema({"anyOf": [{"type": "null"}, {"type": "integer"}]}) == {"type": "integer"}


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        *(("fien", "fine"), ("FINE", "fine"), ("standart", "standard"), ("dra", "draft")),
        *(("neural style", "neural-style"), ("xyz", ""), ("", ""), ("q", "")),
    ],
)
def test_only_similar_words_are_suggested(typed: str, meant: str) -> None:
    known = ["draft", "standard", "fine", "article", "gatys", "neural-style"]
    assert nearest(typed, known) == meant
