"""What is wrong with what others recorded."""

from vutrace.errors import UNREADABLE, VutraceError


class EvidenceError(VutraceError):
    """A file that is not what it was said to be, or has nothing of vhost-user: one clear line."""

    status = UNREADABLE
