"""Who speaks where, in words."""

from collections.abc import Mapping

from vutrace.records import Channel

CHANNELS: Mapping[Channel, str] = {
    Channel.MAIN: "main channel",
    Channel.BACKEND: "back-end channel",
    Channel.GPU: "GPU channel",
}
