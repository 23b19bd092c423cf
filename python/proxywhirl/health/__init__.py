"""Active health: asking proxies whether they work, rather than waiting for a request to find out."""
