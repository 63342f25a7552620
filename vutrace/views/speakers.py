"""Who speaks where, in words."""

from collections.abc import Mapping

from vutrace.records import Channel, Side

CHANNELS: Mapping[Channel, str] = {
    Channel.MAIN: "main channel",
    Channel.BACKEND: "back-end channel",
    Channel.GPU: "GPU channel",
}
SIDES: Mapping[Side, str] = {Side.FRONTEND: "front-end", Side.BACKEND: "back-end"}
