"""Manifests as spreadsheets and data frames write them: their text, cells, numbers and columns."""
