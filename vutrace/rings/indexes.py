"""How one ring stands, as it was read from memory; of either kind."""

from typing import NamedTuple


class Indexes(NamedTuple):
    """Both indexes and both sides' event suppression; the fields are those of `RingSample`.

    `events`: the event fields are there. `steady`: the device moved nothing while they were read.
    """

    available: int
    used: int
    in_flight: int
    driver_flags: int
    device_flags: int
    events: bool = False
    driver_event: int = 0
    device_event: int = 0
    steady: bool = True
