"""Model peers: a front-end and a back-end that speak the real protocol. See docs/peers.md."""

from vutrace.peers.backend import DPDK_22_11, BackEnd
from vutrace.peers.connection import PeerConnection
from vutrace.peers.frontend import FrontEnd
from vutrace.peers.profiles import PROFILES
from vutrace.peers.server import CLOSED, Journal, Server, serve
from vutrace.peers.state import READY, STOPPED, Offer
from vutrace.peers.steps import Profile
from vutrace.sockets.framed import PeerError

__all__ = [
    "CLOSED",
    "DPDK_22_11",
    "PROFILES",
    "READY",
    "STOPPED",
    "BackEnd",
    "FrontEnd",
    "Journal",
    "Offer",
    "PeerConnection",
    "PeerError",
    "Profile",
    "Server",
    "serve",
]
