"""The error of everything that lays out rows."""

from nst_core.errors import UserError


class LayoutError(UserError):
    """Rows that cannot be laid out as asked; the message says why, and what to do."""
