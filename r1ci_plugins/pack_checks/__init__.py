"""For authors of task packs: the conformance rules, their validation, the pytest plugin, measurement, a new pack."""
