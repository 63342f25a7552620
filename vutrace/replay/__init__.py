"""A capture acted out: into the views, or against a live peer. See docs/replay.md."""
