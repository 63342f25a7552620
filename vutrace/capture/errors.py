"""The two ways in which a capture is wrong."""


class CaptureError(Exception):
    """A capture that cannot be read (further): one clear line, fit to be shown as it is."""


class MalformedError(ValueError):
    """What is wrong inside one block; the reader adds where, and raises `CaptureError`."""
