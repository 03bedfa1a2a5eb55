"""The errors that are the user's to mend; everything else is a bug and keeps its traceback."""


class ConfigurationError(ValueError):
    """A user's mistake: the message says what was got, what is valid and what to do."""
