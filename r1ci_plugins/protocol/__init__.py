"""Text to turns: answer formats, chat-template boundaries, feedback."""
