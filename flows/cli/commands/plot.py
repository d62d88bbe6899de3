"""`nst-batch plot`: loss curves as pictures."""

from pathlib import PurePosixPath

from flows.cli.exit_codes import SUCCESS
from flows.cli.terminal import Terminal, refuse
from nst_core.errors import UserError
from nst_core.storage.places import Place, name_of, redacted
from nst_core.transfer.losses.terms import LOSS_TERMS, weights_at_strength
from tasks.report.finding import NoResultsError, find_row, table_of
from tasks.report.plots import SUFFIXES, plot_row, plot_rows, write_plot
from tasks.report.table_row import Table
from tasks.store.curves import read_curve
from tasks.store.output_folder import OutputFolder
from tasks.store.style_cells import SEPARATOR


def plot(terminal: Terminal, output: OutputFolder, named: str | None) -> int:
    """Plot a row's losses, or the total losses of all rows."""
    try:
        table = table_of(output)
        paths = _plot_all(table, output) if named is None else _plot_one(table, output, named)
    except UserError as error:
        return refuse(terminal, error)
    except OSError as error:
        wrong = f"{error.filename}: cannot be read or written: {error.strerror}"
        return refuse(terminal, NoResultsError(wrong))
    for path in paths:
        terminal.say(redacted(path))
    terminal.result({path.suffix[1:]: str(path) for path in paths})
    return SUCCESS


def _plot_one(table: Table, output: OutputFolder, named: str) -> list[Place]:
    row = find_row(table, output, named)
    if not row.curve:
        raise NoResultsError(
            f"{output}: line {row.line}, {row.output}, has no loss curve; found "
            f"the status {row.status!r}: {row.error or 'its curve no longer exists'}"
        )
    asked_for = {term: row.term_weights.get(term, 0) for term in LOSS_TERMS}
    weights = weights_at_strength(asked_for, 1 if row.strength is None else row.strength)
    styles = "; ".join(PurePosixPath(one.strip()).name for one in row.style.split(SEPARATOR))
    pair = f"{PurePosixPath(row.content).name} x {styles}"
    loss = "" if row.total_loss is None else f", loss {row.total_loss:.4g}"
    figure = plot_row(read_curve(output.root / row.curve), weights, f"{row.output}: {pair}{loss}")
    paths = [output.plot(row.output, suffix) for suffix in SUFFIXES]
    write_plot(figure, paths)
    return paths


def _plot_all(table: Table, output: OutputFolder) -> list[Place]:
    files = [(row.output, row.curve) for row in table.rows if row.curve]
    if not files:
        raise NoResultsError(f"{output}: none of its {len(table.rows)} rows has a loss curve")
    curves = {name: read_curve(output.root / curve) for name, curve in files}
    figure = plot_rows(curves, f"{name_of(output.absolute().root)}: {len(files)} rows")
    paths = [output.all_curves(suffix) for suffix in SUFFIXES]
    write_plot(figure, paths)
    return paths
