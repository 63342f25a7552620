"""Open vSwitch with DPDK, private to a test: its own database, control socket and bridge."""

import json
from collections.abc import Callable
from pathlib import Path

from lab.guest import found
from lab.process import Lab, Program, run

SWITCH = "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk"
SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"
# --legacy-mem, because OVS adds --in-memory otherwise, which --no-huge refuses
SETTINGS = (
    "other_config:dpdk-init=true",
    "other_config:dpdk-lcore-mask=0x1",
    "other_config:pmd-cpu-mask=0x2",
    "other_config:dpdk-extra=--no-huge --legacy-mem -m 512 --no-pci",
)


class Ovs:
    """A switch with one bridge, `br0`."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._database = f"unix:{lab.path('ovsdb')}"
        self._environment = {"OVS_RUNDIR": str(lab.directory), "RUNTIME_DIRECTORY": str(lab.directory)}
        file = lab.path("conf.db")
        run("ovsdb-tool", "create", file, SCHEMA)
        remote = f"--remote=p{self._database}"
        lab.start("ovsdb", found("ovsdb-server"), remote, file, env=self._environment)
        self.configure("--retry", "--no-wait", "init")
        self.configure("--no-wait", "set", "Open_vSwitch", ".", *SETTINGS)
        self.program = self._start()
        self.configure("add-br", "br0", "--", "set", "Bridge", "br0", "datapath_type=netdev")

    def _start(self) -> Program:
        return self._lab.start("vswitchd", SWITCH, self._database, env=self._environment)

    def restart(self) -> None:
        """Kill the switch and start it anew; its ports are in the database."""
        self.program.kill()
        self.program = self._start()

    def configure(self, *arguments: str | Path) -> str:
        """Run ovs-vsctl, which waits until the switch has done it; what it printed."""
        return run("ovs-vsctl", f"--db={self._database}", "--timeout=60", *arguments)

    def add_vhost_client(self, name: str, path: Path) -> None:
        """Add a port that connects, again and again, to a listening front-end."""
        port = ["set", "Interface", name, "type=dpdkvhostuserclient", f"options:vhost-server-path={path}"]
        self.configure("add-port", "br0", name, "--", *port)

    def status(self, name: str) -> dict[str, str]:
        """What the switch says about a port: features, rings, …"""
        answer = json.loads(self.configure("--format=json", "--columns=status", "list", "Interface", name))
        (kind, pairs) = answer["data"][0][0]
        assert kind == "map", answer
        return dict(pairs)

    def wait_status(self, name: str, wanted: Callable[[dict[str, str]], bool]) -> dict[str, str]:
        """Wait until the switch says what is wanted; it refreshes a port's status every few seconds."""

        def look() -> dict[str, str] | None:
            status = self.status(name)
            return status if wanted(status) else None

        return self.program.wait_until(look, 60, f"reports {name}")
