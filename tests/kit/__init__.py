"""What several test files share: conversations as records (`transcript`, `sessions`), programs, values."""
