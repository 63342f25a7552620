"""Two captures compared by what they mean. See docs/diff.md."""
