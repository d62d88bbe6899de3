"""An example for the help of each command, as a user would type it."""

from collections.abc import Mapping

from cyclopts import App

EXAMPLES: Mapping[str, str] = {
    "": "nst-batch run photos --style night.png --output results",
    "run": "nst-batch run photos --recursive --style night.png --output results --until 06:00",
    "watch": "nst-batch watch inbox --style night.png --output results",
    "serve": "nst-batch serve night.csv --output results --cron '0 1 * * *'",
    "check": "nst-batch check night.csv --output results",
    "preview": "nst-batch preview photos --style night.png --count 4",
    "plan": "nst-batch plan night.csv --output results --rows",
    "plot": "nst-batch plot results anna_night",
    "animate": "nst-batch animate results anna_night --format gif",
    "show": "nst-batch show results/pictures/*.png > again.csv",
    "manifest": "nst-batch manifest photos 'styles/*.png' --output night.csv",
    "demo": "nst-batch demo samples",
    "presets": "nst-batch presets --json",
    "doctor": "nst-batch doctor --output results",
    "completion": "nst-batch completion fish > ~/.config/fish/completions/nst-batch.fish",
    "cache list": "nst-batch cache list",
    "cache prune": "nst-batch cache prune --older-than 30 --dry-run",
    "weights list": "nst-batch weights list",
    "weights fetch": "nst-batch weights fetch vgg19",
    "weights convert": "nst-batch weights convert vgg19.h5 --output vgg19.safetensors",
    "weights normalize": "nst-batch weights normalize vgg19 'photos/*.jpg'",
    "weights show": "nst-batch weights show vgg19.safetensors",
}


def example_of(command: str) -> str:
    """Return the last line of a command's help."""
    return f"Example: `{EXAMPLES[command]}`"


def show_examples(group: App) -> None:
    """Let the help of each command of a group end with its example."""
    for name in group:
        if not name.startswith("-"):
            group[name].help_epilogue = example_of(f"{group.name[0]} {name}")
