"""Staged recipes: which stages there are, and running them one after the other."""
