"""The one error of the embedded stack: a sentence for the person at the terminal."""


class StackError(Exception):
    """Something the user can act on. The message is one clear sentence and is printed without a traceback."""
