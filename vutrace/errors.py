"""What can go wrong for the user: the base of every error, with its exit status. Imports nothing."""

USAGE, UNREADABLE, PEER = 2, 3, 4
"""The exit statuses of errors: what was asked, what was to be read (or written), a socket or a peer."""


class VutraceError(Exception):
    """An error whose text is one clear line for the user; `status` is what a verb that it ends exits with.

    `several_lines`: the text has more of them, as where a caret points at a place in the line above.
    """

    status: int
    several_lines = False
