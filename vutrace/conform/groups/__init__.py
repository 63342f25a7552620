"""The cases, a module for each group, or for several that are alike."""
