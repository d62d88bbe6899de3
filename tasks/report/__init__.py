"""What people see of a batch: table, page, plots, Prefect's page."""
