"""The rows of a manifest, laid out from photographs, styles and settings."""
