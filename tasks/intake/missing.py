"""Pictures that are not there: hints about what was probably meant."""

from collections.abc import Iterable, Mapping

from nst_core.images.picture_files import PictureError
from nst_core.images.read import PictureFacts
from nst_core.storage.near_names import Hints, is_missing
from nst_core.storage.places import Place
from tasks.row import Row


def with_hints(
    found: Mapping[Place, PictureFacts | PictureError], rows: Iterable[Row]
) -> dict[Place, PictureFacts | PictureError]:
    """Return the same examinations, with hints in the errors of pictures that are not there."""
    missing = {
        path: error
        for path, error in found.items()
        if isinstance(error, PictureError) and is_missing(error.__cause__)
    }
    if not missing:
        return dict(found)
    hints = Hints()
    explained: dict[Place, PictureFacts | PictureError] = {}
    for row in rows:
        for column, path in row.sources:
            if path in missing and path not in explained:
                hint = hints.hint(path, row.cells[column])
                explained[path] = PictureError(f"{missing[path]} {hint}".strip())
    return {**found, **explained}
