"""The flow and the command line."""
