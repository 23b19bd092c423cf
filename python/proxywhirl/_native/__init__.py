"""The Python half of the native classes: what lets them answer to pydantic, and what the core calls by name."""
