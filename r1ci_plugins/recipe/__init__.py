"""The recipe: its schema, the YAML it is written in, overrides, and the trainer's flags."""
