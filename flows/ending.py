"""How the flow reports a batch that has ended, and in which state it ends."""

from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from tasks.report.durations import duration
from tasks.report.prefect_page import log_wrong_rows, show_on_page
from tasks.report.reasons import first_reasons
from tasks.report.table_row import Table
from tasks.report.write import BatchReport
from tasks.store.statuses import WRONG


def show_in_prefect(report: BatchReport, served_at: str | None, *, patiently: bool) -> None:
    """Say in the run's log what is not done, and show the batch in the Prefect UI.

    Args:
        report: the batch that has ended.
        served_at: the URL of the output folder, if it has one.
        patiently: wait a minute for a server that does not answer.
    """
    log_wrong_rows(report.table)
    show_on_page(report, served_at, patiently=patiently)


def final_state(table: Table) -> State:
    """Return the final state of a run, with a name that says how its rows ended.

    Only the rows that were asked for are judged. The message counts all rows; it has a line for
    each of the first reasons why rows are not done.
    """
    message = ", ".join(f"{count} {status}" for status, count in table.counts.items())
    if table.seconds_left is not None:
        message += f"; the remaining rows would take about {duration(table.seconds_left)}"
    message = "\n".join([message, *first_reasons(table.asked_for)])
    asked = table.asked_for
    wrong = len(asked.with_status(*WRONG))
    if not wrong:
        return Completed(name=None if table.seconds_left is None else "OutOfTime", message=message)
    name = "AllRowsFailed" if wrong == len(asked.rows) else "SomeRowsFailed"
    return Failed(name=name, message=message)
