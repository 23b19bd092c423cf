"""How a leased proxy carries bytes: connections, handshakes, TLS. Nothing here chooses or retries."""
