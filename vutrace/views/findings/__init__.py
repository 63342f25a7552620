"""What `check` prints: text, JSON, SARIF, JUnit; and the pages about rules."""
