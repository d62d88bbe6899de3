"""Prefect tasks, each a few lines around nst_core, and the data they exchange."""
