"""The base of all errors that are meant for users."""


class UserError(Exception):
    """An error whose message says all that a user needs: what was found, and what to do.

    It is reported in one line, without a traceback. Any other exception is a bug.
    """
