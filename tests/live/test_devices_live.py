"""Every vhost-user device that QEMU offers here, against vhost-user-gpu or the model back-end."""

import signal
from pathlib import Path

import pytest
from lab import devices, gpu, newer_qemu
from lab.captures import Keeper
from lab.devices import DRIVEN, GET_CONFIG, MODELS, SET_CONFIG, InputServer, Model, start_firmware
from lab.guest import Guest
from lab.messages import Message, captured, frames, requests
from lab.needs import GUEST, fetched, needs
from lab.packages import package_version
from lab.process import Lab
from lab.proxy import Proxy, start_proxy
from lab.qemu import SYSTEM, Qemu, start_qemu
from lab.rows import problems, rows, shown

from vutrace.peers import Server
from vutrace.records import Channel

pytestmark = [pytest.mark.live, needs(*GUEST)]
needs_qemu_10 = fetched(newer_qemu.find(), "QEMU 10")
needs_gpu = fetched(gpu.find(), "vhost-user-gpu")

GPU_UPDATE = 8
UPDATES = 3


def wait_requests(proxy: Proxy, number: int, times: int = 1) -> None:
    """Wait until the front-end has sent a message so often."""
    proxy.program.wait_until(
        lambda: requests(so_far(proxy.capture)).count(number) >= times, 60, f"has seen {times} × {number}"
    )


def so_far(capture: Path) -> list[Message]:
    """What was captured of the main channel by now; the file comes with the first connection."""
    return captured(capture) if capture.exists() else []


def end(qemu: Qemu, proxy: Proxy) -> None:
    """End QEMU as its user would, then the proxy."""
    qemu.program.wait_until(lambda: qemu.program.catches(signal.SIGTERM), 30, "can be ended")
    assert qemu.program.stop(signal.SIGTERM) == 0, qemu.program.tail()
    proxy.stop()


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_qemus_device_talks_to_the_model_back_end(lab: Lab, keep: Keeper, model: Model) -> None:
    capture = talk(lab, model, (SYSTEM,))
    shows = f"QEMU's vhost-user-{model.name} without a guest, against the model back-end"
    keep(capture, f"qemu-7.2-{model.name}-model", shows, ["qemu-system-x86"])


@needs_qemu_10
def test_qemu_10s_sound_device_talks_to_the_model_back_end(lab: Lab, keep: Keeper) -> None:
    capture = talk(lab, devices.SOUND, devices.qemu_10(lab), "sound")
    shows = "QEMU 10's vhost-user-snd without a guest, against the model back-end"
    keep(capture, "qemu-10.0-snd-model", shows, [], qemu=newer_qemu.version(lab.path("qemu-10")))


def talk(lab: Lab, model: Model, program: tuple[str, ...], name: str = "") -> Path:
    """What QEMU's device says to the model back-end before there is a guest: the capture, looked at."""
    front, back = lab.path("qemu.sock"), lab.path("model.sock")
    with Server(str(back), model.offer):
        proxy = start_proxy(lab, front, back)
        qemu = start_firmware(lab, front, *model.arguments, program=program)
        wait_requests(proxy, model.last, model.times)
        end(qemu, proxy)

    assert captured(proxy.capture) == qemu.messages()
    assert {row.context.device.name for row in rows(proxy.capture)} == {name or model.name}
    assert problems(proxy.capture) == []
    return proxy.capture


@pytest.mark.parametrize("model", DRIVEN, ids=lambda model: model.name)
def test_a_guest_starts_the_rings_of_a_device(
    lab: Lab, keep: Keeper, model: Model, device_guest: Guest
) -> None:
    front, back = lab.path("qemu.sock"), lab.path("model.sock")
    with Server(str(back), model.offer):
        proxy = start_proxy(lab, front, back)
        qemu = start_qemu(lab, device_guest, f"path={front}", model.arguments)
        wait_requests(proxy, model.last, model.times)
        qemu.wait_boot()
        qemu.power_off()
        proxy.stop()

    assert captured(proxy.capture) == qemu.messages()
    assert {row.context.device.name for row in rows(proxy.capture)} == {model.name}
    assert problems(proxy.capture) == []
    shows = f"A guest's driver starts QEMU's vhost-user-{model.name} on the model back-end, and powers off"
    keep(proxy.capture, f"qemu-7.2-{model.name}-model", shows, ["qemu-system-x86"])


@needs_qemu_10
def test_a_guest_asks_an_input_device_what_it_is(lab: Lab, keep: Keeper, device_guest: Guest) -> None:
    front, back = lab.path("qemu.sock"), lab.path("model.sock")
    device = ["-device", "vhost-user-input-pci,chardev=c0"]
    with InputServer(str(back)):
        proxy = start_proxy(lab, front, back)
        qemu = start_qemu(lab, device_guest, f"path={front}", device, devices.qemu_10(lab))
        qemu.wait_boot()
        assert "vutrace tablet" in qemu.run("cat /sys/class/input/*/name")
        qemu.power_off()
        proxy.stop()

    assert captured(proxy.capture) == qemu.messages()
    assert {GET_CONFIG, SET_CONFIG} <= set(requests(captured(proxy.capture)))
    text = shown(proxy.capture)
    assert "select ID_NAME, size 14 bytes, string vutrace tablet" in text
    assert "select ABS_INFO, size 20 bytes, max 32767" in text
    assert problems(proxy.capture) == []
    shows = "A guest asks a model of an input device what it is: select and its answers"
    keep(proxy.capture, "qemu-10.0-input-model", shows, [], qemu=newer_qemu.version(lab.path("qemu-10")))


@needs_qemu_10
@needs_gpu
def test_a_firmware_draws_on_vhost_user_gpu(lab: Lab, keep: Keeper) -> None:
    front, back, tree = lab.path("qemu.sock"), lab.path("gpu.sock"), gpu.find()
    assert tree is not None
    devices.start_gpu(lab, tree, back)
    proxy = start_proxy(lab, front, back)
    qemu = devices.start_drawing(lab, tree, front)
    proxy.program.wait_until(lambda: updates(proxy.capture) >= UPDATES, 120, "has seen it draw")
    end(qemu, proxy)

    assert captured(proxy.capture) == qemu.messages()
    assert {row.context.device.name for row in rows(proxy.capture)} == {"gpu"}
    text = shown(proxy.capture)
    assert "GPU_GET_DISPLAY_INFO  reply      display 0: 1280×800 at 0,0" in text
    assert "GPU_UPDATE" in text
    assert "of pixels" in text
    assert problems(proxy.capture) == []
    shows = "A firmware draws on QEMU's vhost-user-gpu: the GPU channel, whose updates have arbitrary flags"
    versions = {
        "qemu": newer_qemu.version(lab.path("qemu-10")),
        "vhost-user-gpu": package_version(tree, "qemu-system-gui"),
    }
    keep(proxy.capture, "qemu-10.0-vhost-user-gpu", shows, [], **versions)


def updates(capture: Path) -> int:
    """How often something was drawn."""
    known = frames(capture) if capture.exists() else []
    numbers = [int.from_bytes(frame.data[:4], "little") for frame in known if frame.channel is Channel.GPU]
    return numbers.count(GPU_UPDATE)
