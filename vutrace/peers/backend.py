"""A model back-end after DPDK's vhost library, without sockets: messages in, replies and remarks out.

Source: DPDK 22.11, lib/vhost/vhost_user.c (vhost_user_msg_handler).
"""

from collections.abc import Callable

from vutrace.dissection.message import Message
from vutrace.peers.backend_profiles import DPDK, BackEndProfile
from vutrace.peers.encode import encode_reply
from vutrace.peers.handlers import HANDLERS
from vutrace.peers.state import Offer, RefusedError, State
from vutrace.protocol.bits import PROTOCOL_FEATURES, bit
from vutrace.protocol.layers import Layer
from vutrace.protocol.payloads import Ack

REPLY_ACK = bit("REPLY_ACK", PROTOCOL_FEATURES)
DPDK_22_11 = Offer(features=0xD_7C66_E7CB, protocol_features=0x10CBF, queue_pairs=128)


class BackEnd:
    """One device, for one connection; `tell` gets a line for what is worth one."""

    def __init__(
        self,
        offer: Offer = DPDK_22_11,
        tell: Callable[[str], None] = lambda line: None,
        habits: BackEndProfile = DPDK,
    ) -> None:
        self.state, self.habits = State(offer, tell), habits

    def handle(self, message: Message, fds: list[int]) -> bytes | None:
        """Carry out a request; its reply, if it gets one. What is kept of `fds` is taken out of the list.

        A failure is answered where NEED_REPLY asks for an answer (DPDK does not look at REPLY_ACK), else it
        is a RefusedError, which ends the connection. Other back-ends have other habits.
        """
        try:
            reply = self._carry_out(message, fds)
        except (RefusedError, OSError, ValueError, OverflowError) as error:  # mmap of absurd sizes
            why = f"{message.name} failed: {error}"
            if self.habits.gives_up or not self._acknowledges(message):
                raise RefusedError(why) from None
            self.state.tell(why)
            reply = Ack(status=1)
        if reply is None and self._acknowledges(message):
            reply = Ack(status=0)
        self.state.look_whether_ready()
        return None if reply is None else encode_reply(message.spec, reply)

    def _acknowledges(self, message: Message) -> bool:
        negotiated = bool(self.state.protocol & REPLY_ACK)
        return message.need_reply and (negotiated or not self.habits.acks_negotiated)

    def close(self) -> None:
        """The connection is lost: give back all that it brought."""
        self.state.forget()

    def _carry_out(self, message: Message, fds: list[int]) -> Layer | None:
        handler = HANDLERS.get(message.name)
        if handler is None or message.reply:
            raise RefusedError("not a request that this back-end knows")
        if message.problems:
            raise RefusedError("; ".join(map(str, message.problems)))
        return handler(self.state, message, fds)
