"""Jobs without pictures, for tests of what depends on their sizes and settings alone."""

from pathlib import Path
from typing import Any

from nst_core.networks.loading import EncoderReference
from nst_core.transfer.settings import Settings
from tasks.job import Job, JobContent, JobStyle, StylePicture


def job_of_size(side: int = 256, line: int = 2, **settings: Any) -> Job:
    """Return the job of a square row; `settings` may include `output`, `key` and `style_key`."""
    named = {
        name: settings.pop(name) for name in ("output", "key", "style_key") if name in settings
    }
    facts = {"output": f"{line}.png", "key": f"row {line}", "style_key": "style", **named}
    picture = StylePicture(place=Path("s.png"), sha256="style", shape=(300, 200))
    style = JobStyle(
        place=picture.place, pictures=(picture,), sha256="style", key=facts.pop("style_key")
    )
    return Job(
        line=line,
        content=JobContent(
            place=Path(f"c{line}.png"), sha256=f"content {line}", shape=(side, side)
        ),
        styles=(style,),
        settings=Settings(size=side, **settings),
        encoder=EncoderReference("compact", "trained", None, "f"),
        seed=0,
        max_pixels=10**8,
        **facts,
    )
