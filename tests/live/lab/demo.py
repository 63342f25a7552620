"""`make demo`: DPDK's testpmd with itself, no VM, through vutrace; what vutrace shows is printed."""

import sys

from lab import dpdk
from lab.needs import TESTPMD, lacking
from lab.process import Lab
from lab.proxy import start_proxy


def main() -> None:
    """Run until packets have flowed, then show the rows."""
    if lacks := lacking(*TESTPMD, cpus=2):
        sys.exit(f"The demo needs DPDK's testpmd and two processors: {', '.join(lacks)}")
    with Lab() as lab:
        front, back = lab.path("front.sock"), lab.path("back.sock")
        print(
            f"dpdk-testpmd (virtio-user) -- {front} -- vutrace -- {back} -- dpdk-testpmd (vhost)\n",
            flush=True,
        )
        vhost = dpdk.start_vhost(lab, back)
        proxy = start_proxy(lab, front, back)
        virtio_user = dpdk.start_virtio_user(lab, front)
        virtio_user.wait_for("RX-packets: [1-9]", 60)
        dpdk.stop(virtio_user)
        vhost.wait_for("vhost peer closed", 20)
        dpdk.stop(vhost)
        proxy.stop()
        print(proxy.program.output)
        for queue, (received, sent) in sorted(dpdk.packets(virtio_user).items()):
            print(f"queue pair {queue}: {sent} packets sent, {received} received through the rings")


if __name__ == "__main__":
    main()
