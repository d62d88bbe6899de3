"""How to install what comes with an extra."""


def command_for(extra: str) -> str:
    """Return the command that installs an extra, as messages name it (docs/install.md)."""
    return f"pip install '.[{extra}]' in the folder of nst-batch"
