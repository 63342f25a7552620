"""Ways to show a trace: rows, detail, JSON, tables, timelines."""
