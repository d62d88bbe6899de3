"""`nst-batch presets`: the settings behind each name."""

from flows.exit_codes import SUCCESS
from flows.terminal import Terminal
from nst_core.settings import PRESETS, Settings


def presets(terminal: Terminal) -> int:
    """Show every setting of every preset, and what it means."""
    terminal.table(
        [
            {
                "setting": name,
                **{preset: getattr(settings, name) for preset, settings in PRESETS.items()},
                "meaning": field.description,
            }
            for name, field in Settings.model_fields.items()
        ]
    )
    terminal.result({name: settings.model_dump() for name, settings in PRESETS.items()})
    return SUCCESS
