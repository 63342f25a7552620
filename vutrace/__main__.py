#!python
"""The program: `vutrace`, which is this file, and `python -m vutrace`."""

# Both are built into the interpreter: before anything is loaded, Ctrl-C ends it silently, with one status.
import _signal  # type: ignore[import-not-found]
import gc
import posix

INTERRUPTED = 130
GARBAGE = 50_000  # objects between two collections: loading a verb and reading a capture make few cycles


def end_silently(_number: int, _frame: object) -> None:
    """A handler of SIGINT for as long as there is nothing to tidy up."""
    posix._exit(INTERRUPTED)


def main() -> None:
    """Run the command line. Where SIGINT is ignored, as by nohup and a shell's &, it stays so."""
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, end_silently)
    gc.set_threshold(GARBAGE)
    from vutrace import cli

    cli.main()


if __name__ == "__main__":
    main()
