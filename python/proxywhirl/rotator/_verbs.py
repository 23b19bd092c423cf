"""The verbs of HTTP over ``request``, for rotators and sessions of both kinds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx


class Verbs:
    """The verbs, over ``request``."""

    def request(self, method: str, url: Any, **kwargs: Any) -> httpx.Response:
        raise NotImplementedError

    def get(self, url: Any, **kwargs: Any) -> httpx.Response:
        """Send a GET request; arguments as for :meth:`request`."""
        return self.request("GET", url, **kwargs)

    def post(self, url: Any, **kwargs: Any) -> httpx.Response:
        """Send a POST request; arguments as for :meth:`request`."""
        return self.request("POST", url, **kwargs)

    def put(self, url: Any, **kwargs: Any) -> httpx.Response:
        """Send a PUT request; arguments as for :meth:`request`."""
        return self.request("PUT", url, **kwargs)

    def patch(self, url: Any, **kwargs: Any) -> httpx.Response:
        """Send a PATCH request; arguments as for :meth:`request`."""
        return self.request("PATCH", url, **kwargs)

    def delete(self, url: Any, **kwargs: Any) -> httpx.Response:
        """Send a DELETE request; arguments as for :meth:`request`."""
        return self.request("DELETE", url, **kwargs)

    def head(self, url: Any, **kwargs: Any) -> httpx.Response:
        """Send a HEAD request; arguments as for :meth:`request`."""
        return self.request("HEAD", url, **kwargs)

    def options(self, url: Any, **kwargs: Any) -> httpx.Response:
        """Send an OPTIONS request; arguments as for :meth:`request`."""
        return self.request("OPTIONS", url, **kwargs)


class AsyncVerbs:
    """The verbs, over ``request``."""

    async def request(self, method: str, url: Any, **kwargs: Any) -> httpx.Response:
        raise NotImplementedError

    async def get(self, url: Any, **kwargs: Any) -> httpx.Response:
        """Send a GET request; arguments as for :meth:`request`."""
        return await self.request("GET", url, **kwargs)

    async def post(self, url: Any, **kwargs: Any) -> httpx.Response:
        """Send a POST request; arguments as for :meth:`request`."""
        return await self.request("POST", url, **kwargs)

    async def put(self, url: Any, **kwargs: Any) -> httpx.Response:
        """Send a PUT request; arguments as for :meth:`request`."""
        return await self.request("PUT", url, **kwargs)

    async def patch(self, url: Any, **kwargs: Any) -> httpx.Response:
        """Send a PATCH request; arguments as for :meth:`request`."""
        return await self.request("PATCH", url, **kwargs)

    async def delete(self, url: Any, **kwargs: Any) -> httpx.Response:
        """Send a DELETE request; arguments as for :meth:`request`."""
        return await self.request("DELETE", url, **kwargs)

    async def head(self, url: Any, **kwargs: Any) -> httpx.Response:
        """Send a HEAD request; arguments as for :meth:`request`."""
        return await self.request("HEAD", url, **kwargs)

    async def options(self, url: Any, **kwargs: Any) -> httpx.Response:
        """Send an OPTIONS request; arguments as for :meth:`request`."""
        return await self.request("OPTIONS", url, **kwargs)
