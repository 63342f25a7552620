"""A front-end that says what a case wants it to say, and takes no answer for granted."""

import contextlib
from collections.abc import Iterable

from vutrace.conform.case import SkippedError, UnmetError
from vutrace.conform.guest import GuestRegion
from vutrace.conform.speaker import ACK, CLOSED, Speaker, described
from vutrace.conform.tested import SOON, NotReachedError
from vutrace.dissection.message import Message
from vutrace.peers.encode import SPECS
from vutrace.protocol import payloads as p
from vutrace.protocol.bits import PROTOCOL_FEATURES, VIRTIO_FEATURES, bit
from vutrace.protocol.layers import Layer
from vutrace.sockets.framed import PeerError

PROTOCOL = bit("VHOST_USER_F_PROTOCOL_FEATURES", VIRTIO_FEATURES)
BASIC = ("VIRTIO_F_VERSION_1", "VHOST_USER_F_PROTOCOL_FEATURES", "REPLY_ACK")


class Probe(Speaker):
    """One case's front-end: a speaker that judges what a peer does, and knows the way to a device that works.

    `needs` are the case's features, which `hello` acknowledges besides the basic ones.
    """

    # What a peer may do with what is wrong

    def refused(self, name: str, payload: Layer | bytes = b"", fds: Iterable[int] = ()) -> None:
        """Send what must not be accepted: an acknowledgement with an error, or the end of the connection."""
        if self.protocol & ACK:
            self.send(name, payload, fds, need_reply=True)
            return self.is_refusal(name)
        self.send(name, payload, fds)
        return self.survives()

    def is_refusal(self, name: str) -> None:
        """What comes now has to be an error, or the end."""
        message = self.whatever()
        if message and message.request == SPECS[name].number and not message.number_in("status"):
            raise UnmetError(f"{name} was acknowledged as done (status 0)")
        self.survives()

    def whatever(self) -> Message | None:
        """What comes now, whatever it is; None for the end."""
        try:
            return self.next()
        except TimeoutError:
            raise UnmetError(f"neither a reply nor the end within {self.timeout:g} s") from None
        except PeerError as error:
            raise UnmetError(str(error)) from None

    def survives(self) -> None:
        """The peer still works: it answers here, or else on a new connection, or has ended in order."""
        if self.answers():
            return
        if crash := self.target.crash(SOON):
            raise UnmetError(crash)
        if not self.target.running():
            return
        with contextlib.suppress(NotReachedError):
            self.connect()
            if not self.answers():
                raise UnmetError("no answer to GET_FEATURES on a new connection")

    def answers(self) -> bool:
        """Whether GET_FEATURES is answered on this connection, whatever else comes before."""
        try:
            self.send("GET_FEATURES")
            while message := self.next():
                if message.reply and message.name == "GET_FEATURES":
                    return True
        except TimeoutError:
            raise UnmetError(f"GET_FEATURES has no answer within {self.timeout:g} s, and no end") from None
        except (UnmetError, PeerError):
            return False
        return False

    def silent(self, name: str) -> None:
        """Nothing comes for what was just sent: the next reply is that to a question of ours."""
        self.send("GET_FEATURES")
        self.reply_is_not(name)

    def reply_is_not(self, name: str) -> None:
        """The next reply answers GET_FEATURES."""
        message = self.whatever()
        if message is None:
            raise UnmetError(CLOSED)
        if message.name != "GET_FEATURES":
            raise UnmetError(f"{described(message)}, which nobody asked for")

    # The way to a device that works

    def hello(self, *more: str, owner: bool = True) -> None:
        """Find out and acknowledge the basic features, the case's and `more`; own the session."""
        features, wanted = self.survey.masks((*BASIC, *self.needs, *more))
        offered = self.number("GET_FEATURES", "features")
        if offered & PROTOCOL:
            wanted &= self.number("GET_PROTOCOL_FEATURES", "protocol_features")
            self.send("SET_PROTOCOL_FEATURES", p.ProtocolFeatures(protocol_features=wanted))
            self.protocol = wanted
        self.features = features & offered
        if not owner:
            return
        self.tell("SET_OWNER")
        self.tell("SET_FEATURES", p.Features(features=self.features))

    def memory(self, *regions: GuestRegion) -> None:
        """Hand over memory: these regions, or the guest's first."""
        table = regions or tuple(self.guest.regions[:1])
        payload = p.MemoryTable(nregions=len(table), regions=[each.described() for each in table])
        self.tell("SET_MEM_TABLE", payload, [each.fd for each in table])

    def has(self, name: str) -> bool:
        """Whether a protocol feature is acknowledged."""
        return bool(self.protocol & bit(name, PROTOCOL_FEATURES))

    def skip(self, why: str) -> None:
        """Nothing can be found out."""
        raise SkippedError(why)
