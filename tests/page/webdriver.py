"""As much of the WebDriver protocol as the page's test needs: a chromedriver, and browsers that it starts."""
import base64
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import time

DEADLINE = 20.0  # seconds until a condition that does not come true is a failure
TAB, ENTER = "\ue004", "\ue007"
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the key under which the protocol names an element


def missing():
    """What is not installed, or None."""
    for name in ("chromium", "chromedriver"):
        if not shutil.which(name):
            return name
    return None


def until(what, condition):
    """The first true value of condition(); fails with `what` and the last value when none comes in time."""
    end = time.monotonic() + DEADLINE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {DEADLINE:.0f} s: {what}; last seen: {value!r}")
        time.sleep(0.03)


class Driver:
    """A chromedriver of its own on a free loopback port; all that it and its browsers write lies below `folder`."""

    def __init__(self, folder):
        self.folder = folder
        self.browsers = 0
        log = os.path.join(folder, "chromedriver.log")
        places = {name: folder for name in ("HOME", "TMPDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR")}
        with open(log, "wb") as out:
            self.process = subprocess.Popen([shutil.which("chromedriver"), "--port=0"], stdout=out, stderr=out,
                                            stdin=subprocess.DEVNULL, env={**os.environ, **places},
                                            start_new_session=True)

        def port():
            with open(log, encoding="utf-8", errors="replace") as text:
                return re.search(r"started successfully on port (\d+)", text.read())

        try:
            self.port = int(until("chromedriver says its port", port)[1])
        except BaseException:
            self.stop()
            raise

    def call(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            data = None if method != "POST" else json.dumps(body or {})
            connection.request(method, path, data, {"Content-Type": "application/json"})
            value = json.loads(connection.getresponse().read())["value"]
        finally:
            connection.close()
        if isinstance(value, dict) and "error" in value:
            raise RuntimeError(f"{method} {path}: {value['error']}: {value.get('message', '')}")
        return value

    def stop(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)  # the group: browsers of sessions that did not end
        except ProcessLookupError:
            pass
        self.process.wait()


class Browser:
    """One browser with one page, of the given size; a phone if it is narrow."""

    def __init__(self, driver, width, height):
        self.driver = driver
        driver.browsers += 1
        profile = os.path.join(driver.folder, f"profile-{driver.browsers}")
        os.mkdir(profile)
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                 "--disable-background-networking", "--disable-component-update", "--disable-sync",
                 "--disable-dev-shm-usage", f"--user-data-dir={profile}"]
        wanted = {"browserName": "chrome", "goog:loggingPrefs": {"browser": "ALL"},
                  "goog:chromeOptions": {"binary": shutil.which("chromium"), "args": flags}}
        self.base = "/session/" + driver.call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
        self.devtools("Emulation.setDeviceMetricsOverride",
                      {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500})

    def post(self, path, **body):
        return self.driver.call("POST", self.base + path, body)

    def devtools(self, command, parameters):
        return self.post("/goog/cdp/execute", cmd=command, params=parameters)

    def open(self, url):
        self.post("/url", url=url)

    def run(self, script, *arguments):
        """What the script returns; it runs in the page, with the arguments as `arguments`."""
        return self.post("/execute/sync", script=script, args=list(arguments))

    def press(self, keys):
        """Types into whatever has the focus. Only characters of the basic plane: a limit of chromedriver."""
        active = self.driver.call("GET", self.base + "/element/active")[ELEMENT]
        self.post(f"/element/{active}/value", text=keys)

    def console(self):
        """What came to the console since the last call."""
        return [f"{entry['level']} {entry['message']}" for entry in self.post("/se/log", type="browser")]

    def screenshot(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.driver.call("GET", self.base + "/screenshot")))

    def quit(self):
        self.driver.call("DELETE", self.base)
