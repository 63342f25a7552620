"""vutrace: a protocol tracing and dissection tool for vhost-user."""

__version__ = "0.1.0"
