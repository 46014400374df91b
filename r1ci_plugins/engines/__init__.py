"""Models that continue a sequence of tokens: vLLM, the embedded model, scripted text."""
