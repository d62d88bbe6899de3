"""The subcommands of `nst-batch`, one per file; each returns its exit code."""
