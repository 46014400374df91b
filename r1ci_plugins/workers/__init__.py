"""Processes that can be killed: those that check answers, and those that make questions."""
