"""The lowest package: helpers that know nothing of proxies."""
