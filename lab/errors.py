"""The fault that is shown to the user as one sentence, without a traceback."""


class LabError(Exception):
    """What is wrong, where, and what to do about it. The command line prints it and ends with exit code 2."""
