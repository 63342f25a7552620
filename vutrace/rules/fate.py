"""What became of a process, as the CLOSE event has it: `backend_process` is "killed 9", "exited 1",
"running"…
"""

import signal

from vutrace.records import Event, Side


def fate_words(event: Event, side: Side) -> str:
    """What the process at one end did when it closed: a sentence without its subject, or ""."""
    told, _, code = event.attributes.get(f"{side}_process", "").partition(" ")
    match told:
        case "killed":
            return f"was killed ({signal_name(int(code))})"
        case "exited":
            return f"ended with status {code}" if code != "0" else "ended by itself (status 0)"
        case "gone":
            return "is gone (it died or ended)"
        case "stopped":
            return "closed the connection, and is stopped,"
        case "running":
            return "closed the connection, and still runs,"
    return ""


def signal_name(number: int) -> str:
    """A signal by name: "SIGKILL"."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
