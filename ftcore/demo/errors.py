"""The one exception that the demo turns into a message and exit code 2."""


class DemoError(Exception):
    """Something the user can put right; the message says what."""
