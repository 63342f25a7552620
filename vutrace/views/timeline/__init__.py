"""The timeline drawn: formats.py declares the formats, each has a module of its name with `render`."""
