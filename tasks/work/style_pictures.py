"""The pictures of a row's styles, each loaded when it is needed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

from nst_core.images.read import Picture
from nst_core.transfer.styles.styles import Blend, Samples
from tasks.intake.examine import load_picture
from tasks.job import Job, JobStyle
from tasks.work.row_pictures import space_of


@dataclass(frozen=True)
class StylePictures(Sequence[Picture]):
    """The pictures of a style, which are loaded each time that they are asked for.

    Attributes:
        job: the row.
        style: one of its styles.
        size: the longest side of the pictures, in pixels.
        enlarge: whether smaller pictures are enlarged.
    """

    job: Job
    style: JobStyle
    size: int
    enlarge: bool

    def __len__(self) -> int:
        return len(self.style.pictures)

    @overload
    def __getitem__(self, index: int) -> Picture: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Picture]: ...

    def __getitem__(self, index: int | slice) -> Picture | Sequence[Picture]:
        """Load a picture.

        Raises:
            PictureError: it cannot be read, or changed while the batch ran.
        """
        if isinstance(index, slice):
            return [self[number] for number in range(len(self))[index]]
        picture = self.style.pictures[index]
        return load_picture(
            picture.place,
            picture.sha256,
            size=self.size,
            enlarge=self.enlarge,
            max_pixels=self.job.max_pixels,
            space=space_of(self.job),
        )


def styles_of(job: Job) -> Blend:
    """Return all styles of a row at the size of its result, for what needs their pixels."""
    settings = job.settings
    return Blend(
        [
            Samples(StylePictures(job, style, settings.size, enlarge=settings.enlarge))
            for style in job.styles
        ]
    )
