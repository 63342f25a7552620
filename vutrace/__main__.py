"""`python -m vutrace`."""

from vutrace.cli import main

main()
