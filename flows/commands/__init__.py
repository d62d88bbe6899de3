"""What `nst-batch` does, one command a file; each returns the exit code."""
