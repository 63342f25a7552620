"""The conformance suite: cases put to a back-end or front-end by a peer of ours. See docs/conformance.md."""
