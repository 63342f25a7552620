"""`python -m vutrace.cli`, as the relay starts its viewer."""

from vutrace.cli import main

main()
