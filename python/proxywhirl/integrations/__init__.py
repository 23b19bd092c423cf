"""Rotation in other clients, each by its own conventions; one module for each, which imports its client.

A module is a thin use of ``rotator.attempts()``: it takes a lease, sends through the leased proxy with the client, and
reports what came back. Nothing about proxies is decided in it.
"""
