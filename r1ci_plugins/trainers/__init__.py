"""Where our parts meet a trainer. A folder per trainer; only here are trainers imported and adapted."""
