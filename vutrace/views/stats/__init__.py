"""How much was said, and how long the answers took: by message, by ring, by session."""
