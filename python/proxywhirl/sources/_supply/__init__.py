"""Where the proxies of a rotator come from, and how they stay fresh."""
