"""`vutrace peer`: the model ends, each by itself, against a program of yours."""

import contextlib
import socket
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from vutrace.cli.errors import UsageError
from vutrace.cli.output import say

if TYPE_CHECKING:
    from vutrace.peers import FrontEnd
    from vutrace.peers.backend_profiles import BackEndProfile
    from vutrace.sockets.endpoints import Endpoint, How

app = typer.Typer(
    help="Run a model of one end against your own program.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
BACKEND_EXAMPLES = """Examples:

\b
  vutrace peer backend back.sock                         like DPDK, a network device
  vutrace peer backend back.sock --profile libvhost-user --device blk
  vutrace peer backend back.sock --profile passt --queues 1
  vutrace peer backend connect:qemu.sock                 QEMU has server=on
  vutrace proxy front.sock back.sock                     in another terminal: every message
"""
FRONTEND_EXAMPLES = """Examples:

\b
  vutrace peer frontend back.sock                        a guest of QEMU 7.2 boots
  vutrace peer frontend back.sock --profile qemu-10 --queues 4 --enabled 4
  vutrace peer frontend back.sock --profile virtio-user --hold 5
  vutrace peer frontend disk.sock --device blk --queues 2
  vutrace peer frontend listen:qemu.sock                 the back-end is the client
"""
PATIENCE = 5.0  # seconds, of a reply
Socket = Annotated[str, typer.Argument(metavar="SOCKET", help="PATH, listen:PATH or connect:PATH.")]


@app.command(short_help="A back-end that answers like DPDK, libvhost-user, rust-vmm or passt.")
def backend(
    place: Socket,
    profile: Annotated[
        str, typer.Option(metavar="NAME", help="dpdk, libvhost-user, rust-vmm or passt.")
    ] = "dpdk",
    device: Annotated[str, typer.Option(metavar="NAME", help="net, blk, or another device.")] = "net",
    queues: Annotated[
        int | None,
        typer.Option(min=1, max=256, help="Queues; for net, queue pairs.", show_default=False),
    ] = None,
) -> None:
    """Play a back-end until Ctrl-C, and say how far the front-end got."""
    from vutrace.cli.reading import load_dissectors
    from vutrace.peers.server import Journal, Server
    from vutrace.sockets.endpoints import EndpointError, How

    habits = habits_called(profile)
    load_dissectors(None).device(device)
    end = endpoint(place, How.LISTEN)
    server = Server(end.path, habits.offer(device, queues), end.how is How.CONNECT, habits, Journal(say_line))
    try:
        server.start()
    except OSError as error:
        raise EndpointError(f"{end.path}: {error.strerror}") from None
    say_line(
        f"{profile}, {device}: {'listening on' if end.how is How.LISTEN else 'connecting to'} {end.path}"
    )
    try:
        while True:
            time.sleep(3600)
    finally:
        server.stop()


@app.command(short_help="A front-end whose guest boots, like QEMU or DPDK's virtio-user.")
def frontend(
    place: Socket,
    profile: Annotated[
        str, typer.Option(metavar="NAME", help="qemu-2.10, qemu-7.2, qemu-10, qemu-11, virtio-user, ...")
    ] = "qemu-7.2",
    device: Annotated[
        str,
        typer.Option(metavar="NAME", help="net; or blk, fs, gpio, i2c, rng, vsock, as QEMU 7.2 has them."),
    ] = "net",
    queues: Annotated[
        int, typer.Option(min=1, max=128, help="Queue pairs that are configured; queues, of blk and fs.")
    ] = 1,
    enabled: Annotated[int, typer.Option(min=1, help="Queue pairs that the guest enables.")] = 1,
    hold: Annotated[float, typer.Option(metavar="S", min=0, help="Seconds for which the guest runs.")] = 1.0,
) -> None:
    """Play a front-end: boot a guest, let it run, stop it; exit status 4 if the back-end fails."""
    from vutrace.peers import PROFILES
    from vutrace.sockets.endpoints import How

    if profile not in PROFILES:
        raise UsageError(f"--profile {profile}: there are {', '.join(PROFILES)}")
    if enabled > queues:
        raise UsageError(f"--enabled {enabled}: there are only {queues} queue pairs")
    end = endpoint(place, How.CONNECT)
    with front_end(device, profile, queues, enabled) as guest:
        reach(guest, end)
        boot(guest, enabled)
        time.sleep(hold)
        guest.stop()
        say_line("stopped")


backend.__doc__ = f"{backend.__doc__}\n\n{BACKEND_EXAMPLES}"
frontend.__doc__ = f"{frontend.__doc__}\n\n{FRONTEND_EXAMPLES}"


def endpoint(text: str, default: "How") -> "Endpoint":
    """Where the other end is."""
    from vutrace.sockets.endpoints import How, parse_endpoint

    try:
        end = parse_endpoint(text, default)
    except ValueError as error:
        raise UsageError(str(error)) from None
    if end.how is How.FD or end.path.startswith("@"):
        raise UsageError(f"{text}: a path is needed")
    return end


def front_end(name: str, profile: str, queues: int, enabled: int) -> "FrontEnd":
    """The front-end of such a device."""
    from vutrace.peers import PROFILES, FrontEnd
    from vutrace.peers.devices import DEVICES

    if name == "net":
        return FrontEnd(PROFILES[profile], queues, timeout=PATIENCE)
    model = DEVICES.get(name)
    if model is None:
        known = ", ".join(DEVICES)
        raise UsageError(f"--device {name}: there are net, {known}; replay acts out any capture")
    if profile != "qemu-7.2":
        raise UsageError(f"--device {name} goes with --profile qemu-7.2")
    if enabled > 1 or (queues > 1 and not model.queues):
        raise UsageError(
            f"--device {name} has no queue pairs{'' if model.queues else ' and no number of queues'}"
        )
    asked = queues if model.queues and not model.rings else 0  # QEMU asks for those of a disk alone
    return FrontEnd(model.profile(), timeout=PATIENCE, rings=model.count(queues), queues=asked)


def habits_called(name: str) -> "BackEndProfile":
    """The back-end of that name."""
    from vutrace.peers.backend_profiles import HABITS

    if name not in HABITS:
        raise UsageError(f"--profile {name}: there are {', '.join(HABITS)}")
    return HABITS[name]


def reach(guest: "FrontEnd", end: "Endpoint") -> None:
    """Connect, or wait for the back-end that does."""
    from vutrace.sockets.endpoints import EndpointError, How

    if end.how is How.CONNECT:
        guest.connect(end.path)
        return say_line(f"connected to {end.path}, {guest.sent} messages")
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as listener:
        try:
            listener.bind(end.path)
        except OSError as error:
            raise EndpointError(f"{end.path}: {error.strerror}") from None
        listener.listen()
        say_line(f"listening on {end.path}")
        guest.accept(listener)
    return say_line(f"a back-end is there, {guest.sent} messages")


def boot(guest: "FrontEnd", enabled: int) -> None:
    """A guest's driver chooses, starts, and turns on its pairs."""
    guest.write_features()
    guest.start()
    if enabled > 1:
        guest.change_pairs(enabled)
    device = guest.device
    what = f"{device.rings} rings" if device.rings else f"{device.started} of {device.pairs} pairs"
    say_line(f"started: features {device.features:#x}, {what}")


def say_line(line: str) -> None:
    """A line at once."""
    say([line])
    sys.stdout.flush()
