"""What a pack author reads: tasks, questions, scores, and how questions are drawn."""
