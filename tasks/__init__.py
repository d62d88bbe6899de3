"""Prefect tasks, each a few lines around nst_core, and what they exchange."""
