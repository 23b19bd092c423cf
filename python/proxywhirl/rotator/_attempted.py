"""``attempts()`` of the rotators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from proxywhirl._httpx.wishes import wished

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from proxywhirl import _core
    from proxywhirl.config import ProxyConfiguration
    from proxywhirl.retry import RetryPolicy
    from proxywhirl.rotator._attempts import AsyncAttempts, Attempts


class _Face:
    _transport: Any
    _prepare_sources: Any
    _config: ProxyConfiguration


class AttemptsFace(_Face):
    """``attempts()`` of the synchronous rotator."""

    def attempts(
        self,
        url: str,
        *,
        method: str = "GET",
        session_id: str | None = None,
        country: str | None = None,
        region: str | None = None,
        tags: Iterable[str] | None = None,
        protocol: str | Iterable[str] | None = None,
        context: _core.SelectionContext | Mapping[str, Any] | None = None,
        retry_policy: RetryPolicy | None = None,
        ban_policy: Any = None,
        raise_on_ban: bool | None = None,
    ) -> Attempts:
        """The attempts of one request of any client: what :meth:`request` does, with another client in the middle.

        ::

            for attempt in rotator.attempts(url):
                with attempt:
                    response = requests.get(url, proxies=attempt.requests_proxies, timeout=10)
                    attempt.report(response)

        The loop ends after an answer that :meth:`request` would return. Where it would raise, the loop raises the same
        errors. No attempt goes without a proxy, ``allow_direct`` or not.

        Args:
            url: The target.
            method: The method; one that must not be repeated (POST, PATCH) is sent again only where nothing of it can
                have reached the site.
            session_id: Requests of the same id have the same proxy.
            country: Country of the proxy.
            region: Region of the proxy.
            tags: Tags it must have, all of them.
            protocol: Protocol that it must speak, or several of which one will do.
            context: A ``SelectionContext`` that the other wishes are laid over, or its fields.
            retry_policy: How often to try, in place of the rotator's policy.
            ban_policy: Ban rules in place of the rotator's, for whichever site.
            raise_on_ban: Whether a final ban or rate limit is raised; by default as the rotator does.

        Returns:
            An iterator of :class:`Attempt`. Not for several threads at once.

        Raises:
            ProxyPoolEmptyError: No proxy is eligible, and none became so in ``config.pool_timeout`` seconds.
            ProxyBannedError: Sites refused all proxies that were tried, and ``raise_on_ban`` is set.
            ProxyConnectionError: All attempts failed; its cause is the last exception, ``response`` the last answer.
            ProxyAuthenticationError: The last proxy left refused the credentials.
            RuntimeError: The attempt before has no outcome.
            TypeError: ``context`` is none.
        """
        from proxywhirl.rotator._attempts import Attempts

        selection = wished(
            session_id=session_id,
            country=country,
            region=region,
            tags=tags,
            protocol=protocol,
            context=context,
            retry_policy=retry_policy,
            ban_policy=ban_policy,
            raise_on_ban=raise_on_ban,
        )
        return Attempts(self._transport, self._prepare_sources, url, method, selection, self._config.pool_timeout)


class AsyncAttemptsFace(_Face):
    """``attempts()`` of the asynchronous rotator."""

    def attempts(
        self,
        url: str,
        *,
        method: str = "GET",
        session_id: str | None = None,
        country: str | None = None,
        region: str | None = None,
        tags: Iterable[str] | None = None,
        protocol: str | Iterable[str] | None = None,
        context: _core.SelectionContext | Mapping[str, Any] | None = None,
        retry_policy: RetryPolicy | None = None,
        ban_policy: Any = None,
        raise_on_ban: bool | None = None,
    ) -> AsyncAttempts:
        """The attempts of one request of any client, for ``async for``; as :meth:`ProxyRotator.attempts`.

        ::

            async for attempt in rotator.attempts(url):
                async with attempt:
                    async with client.get(url, proxy=attempt.url) as response:
                        page = await response.text()
                        attempt.report(response)
        """
        from proxywhirl.rotator._attempts import AsyncAttempts

        selection = wished(
            session_id=session_id,
            country=country,
            region=region,
            tags=tags,
            protocol=protocol,
            context=context,
            retry_policy=retry_policy,
            ban_policy=ban_policy,
            raise_on_ban=raise_on_ban,
        )
        return AsyncAttempts(self._transport, self._prepare_sources, url, method, selection, self._config.pool_timeout)
