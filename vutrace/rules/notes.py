"""What a row adds to what the rules know of its session; asked after the rules were."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from vutrace.protocol.check import When, answers, asks
from vutrace.protocol.effects import MemoryEffect, RingEffect
from vutrace.records import Channel
from vutrace.rules.channel import MAPS, SHMEM_TOLD, UNMAPS, piece_of, sizes
from vutrace.rules.config import GETS_CONFIG, space_of
from vutrace.rules.device import ADDS, CLOSES, MADE, REMOVES
from vutrace.rules.inflight import HANDS_BACK, told
from vutrace.rules.look import has, message_of, number, starts
from vutrace.rules.memory_access import UPDATE
from vutrace.rules.migration import ADVISES, CHECKS_STATE, LOG, TRANSFERS, ends, listens
from vutrace.rules.negotiation import OWNS
from vutrace.rules.ring_setup import KICKS
from vutrace.rules.seen import KEPT, History, span
from vutrace.session.row import Row


@dataclass(frozen=True, slots=True)
class Note:
    """What `take` learns of the messages that `when` chooses."""

    when: When
    take: Callable[[Row, History], None]


def started(row: Row, seen: History) -> None:
    """A ring began to run."""
    if row.ring is not None and starts(row) and len(seen.started_ns) < KEPT:
        seen.started_ns[row.ring] = row.since_first_ns


def fetched(row: Row, seen: History) -> None:
    """Where a ring stopped."""
    if has(row, "num") and len(seen.fetched) < KEPT:
        seen.fetched[row.ring] = number(row, "num")


def resumed(row: Row, seen: History) -> None:
    """A ring is to go on, somewhere."""
    seen.fetched.pop(row.ring, None)


def owned(_row: Row, seen: History) -> None:
    """The session has an owner."""
    seen.owned = True


def added(_row: Row, seen: History) -> None:
    """Memory is told region by region."""
    seen.added = True


def log_given(row: Row, seen: History) -> None:
    """The log's area."""
    seen.log_size = number(row, "mmap_size")


def advised(_row: Row, seen: History) -> None:
    """Postcopy was announced."""
    seen.advised = True


def listening(_row: Row, seen: History) -> None:
    """Postcopy began."""
    seen.listening = True


def ended(_row: Row, seen: History) -> None:
    """Postcopy is over."""
    seen.listening = seen.advised = False


def transfer(row: Row, seen: History) -> None:
    """The device's state is on its way."""
    seen.transfer = number(row, "direction")


def checked(_row: Row, seen: History) -> None:
    """It arrived, or did not."""
    seen.transfer = None


def inflight_made(row: Row, seen: History) -> None:
    """The back-end made a buffer."""
    if "mmap_size" in message_of(row).fields:
        seen.kept.inflight = told(row)


def inflight_given(row: Row, seen: History) -> None:
    """The back-end has a buffer."""
    seen.inflight_set, seen.stale_row = True, None
    seen.kept.inflight = told(row)


def reset(row: Row, seen: History) -> None:
    """Everything is as at the beginning."""
    seen.reset_row = row.number
    if seen.inflight_set:
        seen.stale_row = row.number
    seen.started_ns.clear()
    seen.fetched.clear()
    seen.pieces.clear()  # "mappings are automatically unmapped by the front-end across device reset"


def touched(_row: Row, seen: History) -> None:
    """Something was set up."""
    seen.reset_row = None


def shmem_told(row: Row, seen: History) -> None:
    """How large the shared memory regions are."""
    seen.shmem_sizes = sizes(row)


def mapped(row: Row, seen: History) -> None:
    """A piece of shared memory is mapped."""
    if len(seen.pieces) < KEPT:
        seen.pieces.add(piece_of(row))


def unmapped(row: Row, seen: History) -> None:
    """It no longer is."""
    seen.pieces.discard(piece_of(row))


def object_added(row: Row, seen: History) -> None:
    """The back-end has a shared object."""
    uuid = message_of(row).fields.get("uuid")
    if isinstance(uuid, bytes) and len(seen.objects) < KEPT:
        seen.objects.add(uuid)


def object_removed(row: Row, seen: History) -> None:
    """It no longer has."""
    uuid = message_of(row).fields.get("uuid")
    if isinstance(uuid, bytes):
        seen.objects.discard(uuid)


def crypto_made(row: Row, seen: History) -> None:
    """A crypto session is open."""
    if number(row, "session_id") >= 0 and len(seen.crypto_sessions) < KEPT:
        seen.crypto_sessions.add(number(row, "session_id"))


def crypto_closed(row: Row, seen: History) -> None:
    """It no longer is."""
    seen.crypto_sessions.discard(number(row, "session_id"))


def translated(row: Row, seen: History) -> None:
    """A translation was given."""
    if number(row, "type") == UPDATE and len(seen.translated) < KEPT:
        seen.translated.append(span(number(row, "iova"), number(row, "size")))


def config_told(row: Row, seen: History) -> None:
    """What the configuration space holds; a plug-in's layer may raise anything."""
    with suppress(Exception):
        seen.config = space_of(row) or seen.config


def gpu_acknowledged(row: Row, seen: History) -> None:
    """What the GPU channel may carry."""
    seen.gpu_features = number(row, "protocol_features")


SETS_UP = frozenset({RingEffect.SIZE, RingEffect.ADDRESSES, RingEffect.KICK, RingEffect.DEFAULT_ENABLE})
NOTES = (
    Note(KICKS, started),
    Note(answers(effect=RingEffect.STOP), fetched),
    Note(asks(effect=RingEffect.BASE), resumed),
    Note(OWNS, owned),
    Note(asks(memory=MemoryEffect.ADD), added),
    Note(LOG, log_given),
    Note(ADVISES, advised),
    Note(listens, listening),
    Note(ends, ended),
    Note(TRANSFERS, transfer),
    Note(CHECKS_STATE, checked),
    Note(answers(reply_role="inflight"), inflight_made),
    Note(HANDS_BACK, inflight_given),
    Note(asks(effect=RingEffect.RESET_DEVICE), reset),
    Note(asks(effect=SETS_UP), touched),
    Note(SHMEM_TOLD, shmem_told),
    Note(MAPS, mapped),
    Note(UNMAPS, unmapped),
    Note(ADDS, object_added),
    Note(REMOVES, object_removed),
    Note(MADE, crypto_made),
    Note(CLOSES, crypto_closed),
    Note(asks(request="Iotlb"), translated),
    Note(GETS_CONFIG, config_told),
    Note(asks(Channel.GPU, request="GpuProtocolFeatures"), gpu_acknowledged),
)
