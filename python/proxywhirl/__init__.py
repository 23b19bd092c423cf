"""Rotation of HTTP requests through a pool of proxies."""
