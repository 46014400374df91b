"""What a sandbox promises, and the attacks it must hold against; both run against any backend."""
