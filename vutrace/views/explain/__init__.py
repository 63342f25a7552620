"""What a number, a name, a mask or somebody's error text means."""
