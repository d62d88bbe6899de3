"""Files of tables with any columns, such as other versions may have written."""

import io

import pandas as pd

from nst_core.storage.files import write_atomic
from nst_core.storage.places import Place
from tasks.store.output_folder import OutputFolder


def write_frame(frame: pd.DataFrame, output: Place) -> None:
    """Write a table as that of the last run, whatever its columns are."""
    parquet = io.BytesIO()
    frame.to_parquet(parquet, index=False)
    write_atomic(OutputFolder(output).summary(".parquet"), parquet.getvalue())
