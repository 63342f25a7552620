"""The grammar that chooses messages: of rules that act, and of filters."""
