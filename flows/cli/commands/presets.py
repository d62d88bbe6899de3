"""`nst-batch presets`: the settings of each preset."""

from flows.cli.exit_codes import SUCCESS
from flows.cli.terminal import Terminal
from nst_core.transfer.presets import DEFAULT_PRESET, PRESETS
from nst_core.transfer.settings import Settings


def presets(terminal: Terminal) -> int:
    """Show every setting and what it means, and how each preset differs from the default one."""
    default = PRESETS[DEFAULT_PRESET]
    terminal.table(
        [
            {"setting": name, DEFAULT_PRESET: _shown(default, name), "meaning": field.description}
            for name, field in Settings.model_fields.items()
        ]
    )
    for preset, settings in PRESETS.items():
        if preset != DEFAULT_PRESET:
            changes = [
                f"  {name}: {_shown(settings, name)}"
                for name in Settings.model_fields
                if getattr(settings, name) != getattr(default, name)
            ]
            terminal.say("\n".join([f"{preset} differs from {DEFAULT_PRESET} in:", *changes]))
    terminal.result({name: settings.model_dump() for name, settings in PRESETS.items()})
    return SUCCESS


def _shown(settings: Settings, name: str) -> str:
    value = getattr(settings, name)
    if value is None:
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)
