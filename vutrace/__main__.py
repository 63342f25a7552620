"""The program: `vutrace`, and `python -m vutrace`."""

import signal
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line. Ctrl-C while that is loading ends the program as it ends any other."""
    heard = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if heard:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from vutrace import cli

    if heard:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    cli.main()


if __name__ == "__main__":
    main()
