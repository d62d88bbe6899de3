"""The work of the tasks, without Prefect: one row, and the targets of one style."""
