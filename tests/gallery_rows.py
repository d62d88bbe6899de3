"""Gallery rows for tests."""

from typing import Any

from tasks.report.gallery.page import GalleryRow, Shown


def row(content: str = "a.png", style: str = "s.png", **facts: Any) -> GalleryRow:
    """Return a row that is done, unless `facts` say otherwise."""
    done = {
        "line": 2,
        "status": "done",
        "output": f"{content}_{style}",
        "result": Shown("result"),
        "width": 60,
        "height": 40,
        "total_loss": 0.1,
        "term_losses": {"content": 0.5, "style": 0.02, "tv": 0.01},
        "previous_loss": None,
        "change": "",
        "seconds": 1.5,
        "steps": 60,
        "stop_reason": "steps",
        "device": "CPU:0",
        "error": "",
    }
    return GalleryRow(content=Shown(content), style=Shown(style), **(done | facts))
