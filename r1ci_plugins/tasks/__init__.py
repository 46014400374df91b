"""What a pack author reads: tasks with their questions and scores, and the reading of answers."""
