"""The speed of the earlier rows of an output folder, from its table."""

from statistics import median

from nst_core.transfer.settings import Settings
from tasks.job import multiplications_per_pixel
from tasks.report.saved_table import read_summary
from tasks.report.table_row import TableRow
from tasks.store.output_folder import OutputFolder

ENOUGH_MULTIPLICATIONS = 1e11
"""A row with fewer spends most of its time on preparation, so its speed is not typical."""


def seconds_a_multiplication(output: OutputFolder) -> float | None:
    """Return the seconds per multiplication of the rows in an output folder's table.

    None means that there is no table, that it is from another version, or that it has no row that
    is large enough.
    """
    try:
        ran = [
            (row.seconds, _multiplications_done(row))
            for row in read_summary(output).rows
            if row.seconds is not None
        ]
    except (OSError, ValueError):
        return None
    rates = [seconds / work for seconds, work in ran if work > ENOUGH_MULTIPLICATIONS]
    return median(rates) if rates else None


def _multiplications_done(row: TableRow) -> float:
    """Return the multiplications of a row of an earlier run; 0 if the table does not say.

    Raises:
        ValueError: the row has settings that this version does not know, or lacks one.
    """
    if not row.octaves or row.width is None or row.height is None or row.steps is None:
        return 0.0
    names = ("encoder", "pooling", "content_layers", "style_layers", "normalization")
    settings = Settings.model_validate({name: getattr(row, name) for name in names})
    # Each octave has a quarter of the next one's pixels, so n octaves take (1 - 4^-n) 4/3 of the
    # work of the last one.
    octaves = row.octaves
    pixel_steps = row.width * row.height * row.steps / octaves
    return pixel_steps * (1 - 0.25**octaves) * 4 / 3 * multiplications_per_pixel(settings)
