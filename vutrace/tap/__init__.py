"""Rules that act, scripts and held messages: loaded only where they are asked for."""
