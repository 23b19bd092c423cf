"""The older path of :mod:`proxywhirl.validation`."""

from proxywhirl.validation import Checks, ProxyValidator, ValidationResult

__all__ = ["Checks", "ProxyValidator", "ValidationResult"]
