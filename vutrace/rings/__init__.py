"""What moves in the rings: samples of guest memory and eventfds, read only, in a process of their own."""
