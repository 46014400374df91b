"""Which questions are trained on when: a policy's profile, groups by improvement potential, a sampler with gates."""
