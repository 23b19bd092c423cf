"""Events: what a rotator reports to its listeners.

::

    rotator = ProxyRotator(proxies=[...])

    @rotator.on("request_failure")
    def complain(event):
        print(event.proxy.url, event.error)

Callbacks run in the thread, or the task, in which something happened, with no lock held: one that takes long delays its
own request and no other. What they raise is logged and goes no further. Coroutines are run aside: as tasks of the event
loop that is running, or, where none is (the synchronous rotator), on one background thread that ends when it is idle.
"""

from __future__ import annotations

from proxywhirl._base.exports import names_in, on_first_use

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proxywhirl.events._event import EVENTS as EVENTS
    from proxywhirl.events._event import ProxyEvent as ProxyEvent
    from proxywhirl.events._event import ProxyView as ProxyView
    from proxywhirl.events._event import checked_name as checked_name
    from proxywhirl.events._hub import EventHub as EventHub

_HOMES = {
    "proxywhirl.events._event": "EVENTS ProxyEvent ProxyView checked_name",
    "proxywhirl.events._hub": "EventHub",
}
__getattr__, __dir__ = on_first_use(__name__, _HOMES)
__all__ = names_in(_HOMES)
