"""What can be wrong with a session: a rule is a row and a function over a message and the session's state."""
