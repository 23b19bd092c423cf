"""The native engine as a carrier: the core's own HTTP and TLS, with httpx's names for what goes wrong."""
