"""Wireshark: the generated Lua dissector, extcap, exported captures and display filters."""
