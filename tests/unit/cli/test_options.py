"""The options of `run`, `serve`, `plan` and `check`: from the declaration to the command."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cyclopts import App
from rich.console import Console

from flows.cli.app import COMMANDS, SUMMARIES, app, app_for
from flows.cli.layout_options import LAYOUT_OPTIONS
from flows.cli.options import asking
from nst_core.storage.places import Place
from tasks.option import options_of
from tasks.option_types import Group
from tasks.request import BatchRequest, CheckRequest

GROUPED = ("run", "serve", "preview", "plan", "check")
SAVING = ("save_every", "checkpoint_every")
TIMES = ("until", "budget", "row_budget")
RUNNING = ("retries", "runner", "address", "isolate", "served_at")
LEFT_OUT = {
    "run": set(),
    "serve": {"refresh"},
    "preview": {"preview", "limit", "refresh", "strict", *TIMES, *SAVING, *RUNNING},
    "plan": {"preview", "refresh", "strict", *TIMES, *SAVING, *RUNNING},
    "check": {
        "preview",
        "refresh",
        "only",
        "limit",
        "strict",
        *TIMES,
        *SAVING,
        *RUNNING,
        "devices",
    },
}


def commands_of(group: App, *names: str) -> Iterator[str]:
    """Yield each command of an application, and those of its groups, as a user types them."""
    for name in group:
        if name.startswith("-"):
            continue
        inner = group[name]
        if inner.default_command is None:
            yield from commands_of(inner, *names, name)
        else:
            yield " ".join([*names, name])


def help_of(command: str, capsys: pytest.CaptureFixture[str], width: int = 100) -> str:
    typed = [*command.split(), "--help"]
    app_for(typed)(typed, console=Console(width=width), result_action="return_value")
    return capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS)
def test_the_list_of_commands_has_their_first_sentences(command: str) -> None:
    own, _, _ = (app_for([command])[command].help or "").partition("\n\n")
    assert " ".join(own.split()) == SUMMARIES[command]


def test_the_list_of_commands_is_complete(capsys: pytest.CaptureFixture[str]) -> None:
    shown = words(help_of("", capsys, 200)).replace("`", "")
    for command, summary in SUMMARIES.items():
        assert f"{command} {summary.replace('`', '')}" in shown


def words(text: str) -> str:
    """Return the text in one line, without frames."""
    return " ".join(text.replace("│", " ").split())


@pytest.mark.parametrize("width", [80, 100])
@pytest.mark.parametrize("command", GROUPED)
def test_help_is_grouped_and_no_wider_than_the_terminal(
    command: str, width: int, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = help_of(command, capsys, width)
    titles = [line.strip("╭─╮ ") for line in shown.splitlines() if line.startswith("╭")]
    own = ["When it runs"] if command == "serve" else ["Which photographs get which styles"]
    assert [title for title in titles if title not in own] == list(map(str, Group))
    assert set(own) <= set(titles)
    assert max(map(len, shown.splitlines())) <= width


@pytest.mark.parametrize("command", GROUPED)
def test_help_shows_every_option_that_the_command_has(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = words(help_of(command, capsys, 400))
    for option in options_of(CheckRequest if command == "check" else BatchRequest):
        name = f"--{option.name.replace('_', '-')} " if option.name != "manifest" else "MANIFEST"
        assert (name in shown) == (option.name not in LEFT_OUT[command]), name
    for name in ("style", *LAYOUT_OPTIONS):
        assert (f"--{name.replace('_', '-')} " in shown) == (command != "serve"), name


def test_help_shows_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    shown = words(help_of("run", capsys))
    for default in (
        *("standard", "512", "0.001", "auto", "local", "200000000", "$NST_BATCH_WEIGHTS"),
        *(
            "$NST_BATCH_CACHE or ~/.cache/nst-batch",
            "a cluster started on this machine for the run",
        ),
    ):
        assert f"[default: {default}]" in shown
    assert "The defaults are those of the preset standard" in shown
    assert "False" not in shown
    assert "None" not in shown


@pytest.mark.parametrize("command", list(commands_of(app)))
def test_help_shows_types_and_defaults_in_the_words_of_users(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = help_of(command, capsys)
    assert not re.findall(r"UPATH|\bSTR\b|\bINT\b|FLOAT|ARGS|\(\)|\d\.0\b|None|False", shown)
    # A sentence would end before the default.
    assert not re.findall(r"\. \[(?:required|default)", words(shown))


def test_help_names_types_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--output -o FILE" in help_of("manifest", capsys)
    assert "--cache FOLDER" in help_of("cache prune", capsys)
    assert "--look-in FOLDER" in help_of("show", capsys)
    assert "--fps NUMBER" in help_of("animate", capsys)
    shown = help_of("run", capsys)
    for option in ("--cache FOLDER", "--output -o FOLDER", "--weights FILE|FOLDER"):
        assert option in shown
    for option in ("--address TEXT", "--size NUMBER", "--strength NUMBER", "--preset CHOICE"):
        assert option in shown


@pytest.mark.parametrize("command", ["", *commands_of(app)])
def test_help_ends_with_an_example_that_is_valid(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    *_, last = filter(None, help_of(command, capsys, 200).splitlines())
    assert last.startswith("Example: nst-batch ")
    typed = shlex.split(last.removeprefix("Example: nst-batch ").partition(" > ")[0])
    name, *_ = app.parse_commands(typed)
    assert " ".join(name) == (command or "run")
    function, bound, _ = app.parse_args(typed, exit_on_error=False, print_error=False)
    function_of_command = app.parse_args([*(command or "run").split(), *typed[len(name) :]])[0]
    assert function is function_of_command
    assert bound.args or bound.kwargs or command in ("doctor", "cache list", "weights list")


@pytest.mark.parametrize(
    ("command", "arguments"),
    [("plot", "OUTPUT [ROW]"), ("show", "PICTURE [MORE...]"), ("weights fetch", "NETWORKS...")],
)
def test_usage_names_optional_and_repeated_arguments(
    command: str, arguments: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = help_of(command, capsys)
    assert shown.startswith(f"Usage: nst-batch {command} [OPTIONS] {arguments}\n")


def request_of(arguments: list[str], model: type[CheckRequest] = BatchRequest, **how: Any) -> Any:
    """Return the request that a command with these options gets, or else its exit code."""
    test_app = App()

    @test_app.default
    @asking(model, **how)
    def command(request: CheckRequest, *, json: bool = False) -> int:
        assert not json
        got.append(request)
        return 0

    got: list[CheckRequest] = []
    code = test_app(arguments, result_action="return_value", exit_on_error=False)
    return got[0] if got else code


def test_a_command_line_becomes_a_request() -> None:
    look = ["--size", "64", "--no-match-colors", "--content-layers", "relu3_2 relu4_1:0.5"]
    rest = ["--strict", "--save-every", "20", "--weights", "w", "--devices", "GPU:0, gpu:1"]
    request = request_of(["m.csv", "-o", "s3://bucket/out", *look, *rest])
    assert type(request) is BatchRequest
    assert request.parameters() == {
        "manifest": "m.csv",
        "output": "s3://bucket/out",
        "settings": {
            "size": 64,
            "match_colors": False,
            "content_layers": "relu3_2:1 relu4_1:0.5",
        },
        "weights": "w",
        "refresh": False,
        "strict": True,
        "max_pixels": 200_000_000,
        "save_every": 20,
        "checkpoint_every": 60.0,
        "retries": 2,
        "devices": "gpu:0,gpu:1",
        "runner": "local",
        "isolate": False,
    }


def test_a_command_may_have_some_options_only_and_no_output_folder() -> None:
    request = request_of(["m.csv"], CheckRequest, names=["manifest", "output"])
    assert request == CheckRequest(manifest=Path("m.csv"))
    assert isinstance(request.manifest, Place)


def test_all_wrong_options_are_reported_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["m.csv", "-o", "out", "--size", "3", "--save-every", "15", "--runner", "slurm"]
    assert request_of(arguments) == 2
    assert capsys.readouterr().err.splitlines() == [
        "error: --size: found '3'; expected a whole number from 16 to 8192, or original",
        "error: --save-every: found '15'; expected a multiple of 10 above 0",
        "error: --runner: found 'slurm'; expected 'local', 'ray' or 'dask'",
    ]


def test_secrets_are_redacted_in_messages(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["s3://anna:secret@bucket/m.csv", "-o", "out"]
    assert request_of([*arguments, "--served-at", "https://anna:secret@x.example"]) == 2
    message = capsys.readouterr().err
    assert "secret" not in message
    assert "found credentials in the URL" in message
    assert "--served-at: found 'https://x.example'; expected http:// or https://" in message
