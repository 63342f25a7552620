"""Memory that cannot be read."""

from vutrace.errors import UNREADABLE, VutraceError
from vutrace.records import SampleFlag


class UnreadError(VutraceError):
    """Guest memory that cannot be read; `flag` says why: OUTSIDE or UNREADABLE."""

    status = UNREADABLE

    def __init__(self, flag: SampleFlag) -> None:
        super().__init__()
        self.flag = flag
