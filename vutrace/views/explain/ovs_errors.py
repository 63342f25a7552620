"""What OVS says of its vhost-user ports (lib/netdev-dpdk.c); the rest of its lines are DPDK's."""

from vutrace.views.explain.error_text import CLOSED, ErrorText

OVS_ERRORS = (
    ErrorText(
        "OVS",
        r"vHost Device '[^'\n]*' has been added on numa node (?P<node>-?\d+)",
        "the front-end is ready, and OVS polls the rings that are enabled",
    ),
    ErrorText(
        "OVS",
        r"vHost Device '[^'\n]*' has been removed",
        "the front-end stopped its rings or went away; OVS leaves them alone from here on",
        "GET_VRING_BASE in a capture: with it the stop was an orderly one; without it, " + CLOSED,
        message="GET_VRING_BASE",
    ),
    ErrorText(
        "OVS",
        r"vHost Device '[^'\n]*' connection has been destroyed",
        "the connection of that port ended; as a client OVS tries again each second",
        "what ended it: the last rows of the session, and whether the virtual machine still runs",
    ),
    ErrorText(
        "OVS",
        r"State of queue (?P<ring>\d+) \( ?[tr]x_qid (?P<qid>\d+) ?\) of vhost device '[^'\n]*' changed to "
        r"'(?P<state>enabled|disabled)'",
        "ring {ring} was {state}",
        message="SET_VRING_ENABLE",
    ),
    ErrorText(
        "OVS",
        r"vHost User device '[^'\n]*' created in 'client' mode, using client socket '(?P<place>[^'\n]*)'",
        "OVS connects to {place}: the front-end has to listen there",
        "server=on at QEMU's chardev; OVS tries again until somebody listens",
    ),
    ErrorText(
        "OVS",
        r"dpdkvhostuser ports are considered deprecated",
        "a dpdkvhostuser port listens itself; after a restart of OVS a virtual machine comes back to it only "
        "if its chardev has reconnect=",
        "a dpdkvhostuserclient port, with QEMU as the server",
    ),
    ErrorText(
        "OVS",
        r"vHost Device '[^'\n]*' (?:not found|can't be added - name not found)",
        "no port of OVS has that socket path: the port was removed, or was given another path",
        "ovs-vsctl get Interface PORT options",
    ),
    ErrorText(
        "OVS",
        r"(?:Removing port '[^'\n]*' while vhost device still attached"
        r"|Connection on socket '[^'\n]*' destroyed while vhost device still attached)",
        "the port went away while a virtual machine used it; its rings stand still until a port has that "
        "socket again",
        "the new port: same socket path, and the machine's chardev must reconnect or listen",
    ),
    ErrorText(
        "OVS",
        r"(?:rte_vhost_driver_\w+ failed|vhost-user (?:socket )?device setup failure) for "
        r"(?:vhost user (?:client )?port: |socket |device )(?P<place>\S+)",
        "DPDK could not set up the socket of port {place}",
        "the line before; a socket file that is left over, a directory that does not exist, or its rights",
    ),
)
