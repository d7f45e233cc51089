"""The one exception that means "the user can mend this"."""


class InputError(ValueError):
    """A mistake in a flag, a file or a dataset name, told in one line with its mend.

    Command lines print the message without a traceback and exit with code 1
    (`hw5.flags.launch`). It is a ValueError, so that library users need not know it.
    """
