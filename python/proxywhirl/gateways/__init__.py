"""Gateways: one address behind which a provider keeps many exits, chosen by what the user name says.

::

    from proxywhirl import Gateway, ProxyRotator

    gateway = Gateway(
        "http://user-{country}-session-{session}:secret@gw.example:7777", size=200, ttl=600, countries=["de", "fr"]
    )
    rotator = ProxyRotator(proxies=[gateway])

For providers whose user names follow a known grammar: ``Gateway.preset("oxylabs", user="...", password="...")``.
"""

from __future__ import annotations

from proxywhirl.gateways._gateway import Gateway
from proxywhirl.gateways._gateway_pool import GatewayPool
from proxywhirl.gateways._presets import Preset, presets

__all__ = ["Gateway", "GatewayPool", "Preset", "presets"]
