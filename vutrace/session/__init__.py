"""From messages to meaning: who answers whom, what was negotiated, what each ring is doing."""
