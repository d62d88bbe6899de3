"""Places, files and locks, on a disk or in object storage."""
