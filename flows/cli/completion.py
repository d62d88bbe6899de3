"""`nst-batch completion`: scripts that let shells complete commands, options and values."""

import sys
from collections.abc import Callable
from typing import Literal

from cyclopts import App

Shell = Literal["bash", "zsh", "fish"]


def add_completion(app: App) -> None:
    """Add the command to an application."""
    app.command(completion_of(app), name="completion")


def completion_of(app: App) -> Callable[[Shell], int]:
    """Return the command for an application."""

    def completion(shell: Shell, /) -> int:
        """Print a script with which a shell completes commands, options and values.

        bash: `nst-batch completion bash > ~/.local/share/bash-completion/completions/nst-batch`

        zsh: `nst-batch completion zsh > ~/.zsh/completions/_cyclopts_nst-batch`, in a folder of
        `$fpath`; the file must have this name

        fish: `nst-batch completion fish > ~/.config/fish/completions/nst-batch.fish`

        Args:
            shell: the shell
        """
        # zsh calls the function of a file in $fpath only if it has the name of the file.
        sys.stdout.write(app.generate_completion(shell=shell))
        return 0

    return completion
