"""The two ways in which a capture is wrong."""

from vutrace.errors import UNREADABLE, VutraceError


class CaptureError(VutraceError):
    """A capture that cannot be read (further): one clear line, fit to be shown as it is."""

    status = UNREADABLE


class MalformedError(VutraceError):
    """What is wrong inside one block; the reader adds where, and raises `CaptureError`."""

    status = UNREADABLE
