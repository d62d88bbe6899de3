"""The exit codes of `nst-batch`, for scripts."""

SUCCESS = 0
"""Every row that was asked for has its picture; every check passed."""

ROWS_FAILED = 1
"""Some rows that were asked for failed or are invalid; the others are done."""

UNUSABLE = 2
"""The manifest or the command line cannot be used; no row ran."""

ENGINE_FAILED = 3
"""The batch ended early: no server, a full disk, or a bug in nst-batch."""

OUT_OF_TIME = 4
"""The time was up (`--until`, `--budget`) before all rows were done, and none failed."""

INTERRUPTED = 130
"""Ctrl-C, SIGTERM or SIGHUP; finished rows are kept, and the same command resumes the batch."""
