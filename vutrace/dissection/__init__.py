"""From frames to messages: the compiler, the dissector, and the plug-in API for devices."""
