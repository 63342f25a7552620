"""The cases of docs/cases.md as conversations, each with the line that must appear."""
