"""Whether a task pack keeps its promises: the rules, their validation, the pytest plugin, a pack to start from."""
