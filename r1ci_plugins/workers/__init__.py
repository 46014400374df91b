"""Worker processes that can be killed: some check answers, others generate questions. No rules about packs here."""
