"""Verifiers (answer to score) and reward terms (trajectory to float)."""
