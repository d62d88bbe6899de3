"""All that knows Prefect: caching, runners, logs, and how task runs ended."""
