"""`make bench`: all figures of docs/benchmarks.md that have a peer or a limit, in one command.

Each measurement is a process of its own (`programs`), so that its peak memory is its own. The
driver (`__main__`) runs them in turns and appends what they print to a file of JSON lines, from
which `report` writes the generated part of docs/benchmarks.md.
"""
