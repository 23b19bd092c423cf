"""Pages in a browser of Selenium's, which takes one proxy without a login: the relay rotates behind it."""

import json
import shutil

from selenium import webdriver

from proxywhirl import Relay
from proxywhirl.testing import ProxyFleet, ProxySpec

with ProxyFleet([ProxySpec.dead(), ProxySpec(scheme="socks5", auth=("us@er", "p:ss/w%rd"))]) as fleet:
    # Browsers are asked for a login in a dialogue that Selenium cannot fill in; on loopback there may be none.
    with Relay(fleet.urls, auth=False) as relay:
        options = webdriver.ChromeOptions()
        for argument in ("--headless=new", "--no-sandbox", f"--proxy-server={relay.host}:{relay.port}"):
            options.add_argument(argument)
        options.binary_location = shutil.which("chromium") or ""
        service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
        with webdriver.Chrome(options=options, service=service) as browser:
            for _ in range(5):
                browser.get(fleet.site_url("shop.test", "/whoami"))
                print("through", json.loads(browser.find_element("tag name", "body").text)["proxy"])
        print(relay.stats()["answers"], "answers")
