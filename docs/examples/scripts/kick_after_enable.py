"""No ring is kicked before every ring that was set up is enabled: the order that some back-ends wait for.

vutrace proxy front.sock back.sock -s kick_after_enable.py
"""

WATCH = "SET_VRING_KICK"
PATIENCE = 0.2  # seconds that a kick waits when it comes early


def message(message):
    rings = message.state.rings
    early = [index for index in rings.by_index if index not in rings.enabled]
    if early:
        message.note(f"the kick of {message.ring_name} waits: {len(early)} rings are not enabled")
        message.delay(PATIENCE)
