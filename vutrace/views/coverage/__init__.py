"""Which messages, values, bits, transitions and rules of the specification captures exercised."""
