"""What people see of a batch: table, page, plots, the Prefect UI."""
