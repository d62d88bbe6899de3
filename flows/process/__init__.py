"""The process of a command: environment, signals, streams, and the embedded server."""
