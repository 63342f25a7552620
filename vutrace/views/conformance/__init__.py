"""What came of conformance cases, in each form."""
