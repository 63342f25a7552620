"""A program for root: tshark as an unprivileged user, who is given what only root may open.

Wireshark 4.4 and later load no Lua plug-in as root. Run by path, `python unprivileged.py TSHARK ARGUMENT…`,
so that it needs no more than Python. The files that tshark is to read are opened here and handed over. What
only root may read goes through stdin; where it is read twice (-2), through a copy that has no name.
"""

import os
import sys

NOBODY = 65534
READ, SCRIPT, TWICE, STDIN = "-r", "lua_script:", "-2", "-"
OTHERS_READ = 0o004
NO_HOME = "/nonexistent"  # root's is closed to others, who would say so


def main() -> None:
    """Become tshark."""
    program, *arguments = sys.argv[1:]
    try:
        hand_over(program, arguments)
    except OSError as error:
        sys.exit(f"tshark: what only root may read cannot be handed to it: {error}")
    drop()
    try:
        os.execv(program, [program, *arguments])
    except OSError as error:
        sys.exit(f"tshark: {program} cannot be run by an unprivileged user: {error.strerror}")


def hand_over(program: str, arguments: list[str]) -> None:
    """Open the files that tshark is to read; in the arguments they get names that it can open."""
    twice = TWICE in arguments
    for place, (before, word) in enumerate(zip([program, *arguments], arguments, strict=False)):
        if before == READ and word != STDIN:
            arguments[place] = passed(word, twice)
        elif word.startswith(SCRIPT):
            arguments[place] = SCRIPT + passed(word.removeprefix(SCRIPT), True)


def passed(path: str, named: bool) -> str:
    """A name of a file for those who could not open it; one that is missing keeps its own."""
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return path
    if not os.fstat(file).st_mode & OTHERS_READ:
        if not named:
            os.dup2(file, sys.stdin.fileno())
            return STDIN
        file = copied(file)
    os.set_inheritable(file, True)
    return f"/proc/self/fd/{file}"


def copied(file: int) -> int:
    """The same bytes in a file without a name."""
    copy = os.open(os.environ.get("TMPDIR") or "/tmp", os.O_TMPFILE | os.O_RDWR, 0o600)
    os.fchmod(copy, 0o444)
    while os.sendfile(copy, file, None, 1 << 30):
        pass
    return copy


def drop() -> None:
    """Be nobody, where that can be: a container may have no user but root."""
    os.environ["HOME"] = NO_HOME
    try:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    except OSError:
        return


if __name__ == "__main__":
    main()
