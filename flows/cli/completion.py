"""`nst-batch completion`: scripts that let shells complete commands, options and values."""

import sys
from typing import Literal

Shell = Literal["bash", "zsh", "fish"]


def completion(shell: Shell, /) -> int:
    """Print a script with which a shell completes commands, options and values.

    bash: `nst-batch completion bash > ~/.local/share/bash-completion/completions/nst-batch`

    zsh: `nst-batch completion zsh > ~/.zsh/completions/_cyclopts_nst-batch`, in a folder of
    `$fpath`; the file must have this name

    fish: `nst-batch completion fish > ~/.config/fish/completions/nst-batch.fish`

    Args:
        shell: the shell
    """
    # That module names this one.
    from flows.cli.app import app

    # zsh calls the function of a file in $fpath only if it has the name of the file.
    sys.stdout.write(app.generate_completion(shell=shell))
    return 0
