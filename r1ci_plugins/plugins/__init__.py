"""Finding, loading and checking plugins and task packs."""
