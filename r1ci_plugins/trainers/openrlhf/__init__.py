"""OpenRLHF 0.11.2: its launcher, its rollout agent, its SFT data, and what we change in it (``seams``)."""
