"""What stands below all other packages: it knows nothing of proxies."""
