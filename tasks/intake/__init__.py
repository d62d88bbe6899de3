"""From a manifest to jobs, with every fault found before any work."""
