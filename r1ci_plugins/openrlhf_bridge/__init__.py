"""The only package that imports OpenRLHF, Ray, vLLM, DeepSpeed, torch or transformers."""
