from vutrace_acme import DEVICE

from vutrace.testing import DeviceConformance


class TestAcme(DeviceConformance):
    device = DEVICE
