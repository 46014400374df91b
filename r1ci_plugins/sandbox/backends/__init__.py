"""One file per way to run programs: firejail, bubblewrap, bare limits, and Ray over any of them."""
