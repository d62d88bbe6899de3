"""Where things lie: below the output folder, and in the cache that all batches share."""

from pathlib import Path, PurePosixPath

from nst_core.files import make_private


def picture_path(output: Path, name: str) -> Path:
    """The picture of a row, `name` being its output with `/` between folders."""
    return output / "pictures" / name


def curve_path(output: Path, name: str) -> Path:
    """The loss curve of a row."""
    return output / "losses" / PurePosixPath(name).with_suffix(".csv")


def error_path(output: Path, name: str) -> Path:
    """The traceback of a row that failed."""
    return output / "errors" / PurePosixPath(name).with_suffix(".txt")


def summary_path(output: Path, ending: str = ".csv") -> Path:
    """The table of the last run."""
    return output / f"summary{ending}"


def row_records(output: Path) -> Path:
    """The records of finished rows; they belong to the pictures, hence to the output folder."""
    return output / ".nst-batch" / "rows"


def output_lock(output: Path) -> Path:
    """Held by the run that writes to the output folder."""
    return output / ".nst-batch" / "lock"


def libraries_log_path(output: Path) -> Path:
    """What TensorFlow and Prefect's server wrote during the last run."""
    return output / ".nst-batch" / "libraries.log"


def style_records(cache: Path) -> Path:
    """The records of style targets; they belong to no batch."""
    return cache / "styles" / "records"


def style_files(cache: Path) -> Path:
    """The style targets themselves."""
    return cache / "styles" / "targets"


def make_folders(output: Path, cache: Path) -> None:
    """Make what is missing; records and targets for their owner alone.

    Whoever writes to those decides what is painted.
    """
    picture_path(output, "").mkdir(parents=True, exist_ok=True)
    targets = style_files(cache)
    make_private(cache, targets.parent, targets, style_records(cache))
    make_private(row_records(output).parent, row_records(output))
