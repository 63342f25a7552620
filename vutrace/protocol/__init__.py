"""vhost-user as data: messages, payload layers, feature and status bits. Nothing here does anything."""
