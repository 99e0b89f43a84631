"""The error that the command line shows as one message, without a traceback."""


class LabError(Exception):
    """What is wrong, where, and what to do about it. The command line prints it and exits with code 2."""
