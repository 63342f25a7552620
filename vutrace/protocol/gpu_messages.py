"""Back-end to front-end requests of the GPU channel, on the socket that GPU_SET_SOCKET passed.

Source: vhost-user-gpu.rst.
"""

from vutrace.protocol.spec import NOTHING, FdRule, MessageSpec, ReplyRule, Table, table

NEVER = ReplyRule.NEVER

GPU_MESSAGES: Table = table(
    MessageSpec(1, "GPU_GET_PROTOCOL_FEATURES", reply=("GpuProtocolFeatures",), rule=ReplyRule.ALWAYS),
    MessageSpec(2, "GPU_SET_PROTOCOL_FEATURES", ("GpuProtocolFeatures",), rule=NEVER),
    MessageSpec(3, "GPU_GET_DISPLAY_INFO", reply=("DisplayInfo",), rule=ReplyRule.ALWAYS),
    MessageSpec(4, "GPU_CURSOR_POS", ("CursorPos",), rule=NEVER),
    MessageSpec(5, "GPU_CURSOR_POS_HIDE", ("CursorPos",), rule=NEVER),
    MessageSpec(6, "GPU_CURSOR_UPDATE", ("CursorUpdate",), rule=NEVER),
    MessageSpec(7, "GPU_SCANOUT", ("Scanout",), rule=NEVER),
    MessageSpec(8, "GPU_UPDATE", ("Update",), rule=NEVER),
    MessageSpec(
        9,
        "GPU_DMABUF_SCANOUT",
        ("DmabufScanout",),
        rule=NEVER,
        fds=FdRule.IF_SHOWN,
        role="dmabuf",
    ),
    MessageSpec(
        10,
        "GPU_DMABUF_UPDATE",
        ("Update",),
        NOTHING,
        ReplyRule.ALWAYS,
        note="the empty reply is held back until the front-end has drawn",
    ),
    MessageSpec(11, "GPU_GET_EDID", ("ScanoutId",), ("Edid",), ReplyRule.ALWAYS, gate="EDID"),
    MessageSpec(
        12,
        "GPU_DMABUF_SCANOUT2",
        ("DmabufScanout2",),
        rule=NEVER,
        fds=FdRule.IF_SHOWN,
        gate="DMABUF2",
        role="dmabuf",
    ),
)
