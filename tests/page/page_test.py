"""The chat page of a real `wsr serve` in a real browser, used as a person would: by keyboard, by looking.

Run: python3 page_test.py PATH_TO_WSR FOLDER_FOR_SCREENSHOTS. Standard library only; loopback only.
"""
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import unittest
import urllib.request

from webdriver import ENTER, TAB, Browser, Driver, missing, until

WSR, SHOTS = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])

# Runs before the page's own script: how many sockets it opened, and which timers it still has.
WATCH = """
window.socketsOpened = 0;
window.timersPending = new Set();
window.WebSocket = class extends WebSocket { constructor(...all) { super(...all); ++socketsOpened; } };
const set = setTimeout, clear = clearTimeout;
window.setTimeout = (action, ...all) => {
  const id = set(() => { timersPending.delete(id); action(); }, ...all);
  timersPending.add(id);
  return id;
};
window.clearTimeout = (id) => { timersPending.delete(id); clear(id); };
"""


class Server:
    """A `wsr serve`, everything in memory."""

    def __init__(self, folder, port=0):
        self.log = os.path.join(folder, "server.log")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("WSR_")}
        with open(self.log, "wb") as out:
            self.process = subprocess.Popen([WSR, "serve", "-p", str(port), "--name", "web-1"], stdout=out, stderr=out,
                                            stdin=subprocess.DEVNULL, env={**environment, "XDG_RUNTIME_DIR": folder})
        try:
            self.port = int(until("wsr serve says its port", self.printed_port)[1])
        except BaseException:
            self.end(signal.SIGKILL)
            raise
        self.url = f"http://127.0.0.1:{self.port}/"

    def printed_port(self):
        with open(self.log, encoding="utf-8") as text:
            said = text.read()
        if self.process.poll() is not None:
            raise AssertionError("wsr serve ended: " + said)
        return re.search(r"listens on http://127\.0\.0\.1:(\d+) ", said)

    def send(self, to, data):
        """POST /api/send with the JSON text `data`, as it is; the word."""
        body = f'{{"to":"{to}","data":{data}}}'.encode()
        request = urllib.request.Request(self.url + "api/send", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)["state"]

    def end(self, how):
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


class Page:
    """What a person sees of the page and does with it."""

    def __init__(self, browser):
        self.browser = browser
        browser.devtools("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})

    def state(self):
        return self.browser.run("return [state.className, state.textContent]")

    def wait_state(self, kind):
        until(f"the page is '{kind}'", lambda: self.state()[0] == kind or None)
        return self.state()[1]

    def join(self, url, name, to=""):
        self.browser.open(f"{url}?user={name}" + (f"&to={to}" if to else ""))
        self.browser.press(ENTER)
        self.wait_state("on")

    def focus(self):
        return self.browser.run("return document.activeElement.id")

    def say(self, text):
        """Puts the text where the person would have typed or pasted it, and presses Enter. The word's place."""
        self.browser.run("text.value = arguments[0]; text.focus()", text)
        self.browser.press(ENTER)

    def messages(self):
        """[who, text] of the messages of others."""
        return self.browser.run("return [...document.querySelectorAll('.message:not(.mine)')].map((message) => "
                                "['.who b', '.text'].map((part) => message.querySelector(part).textContent))")

    def words(self):
        return self.browser.run("return [...document.querySelectorAll('.mine .word')].map((word) => word.textContent)")

    def wait_word(self, beginning):
        until(f"the last word is '{beginning}'", lambda: (self.words() or [""])[-1].startswith(beginning) or None)
        return self.words()[-1]

    def notes(self):
        return self.browser.run("return [...document.querySelectorAll('#log .note')].map((note) => note.textContent)")

    def fits(self):
        """Nothing is wider than the window and the page itself does not scroll."""
        return self.browser.run("const page = document.documentElement; return page.scrollWidth <= innerWidth && "
                                "page.scrollHeight <= innerHeight")

    def shot(self, name):
        self.browser.screenshot(os.path.join(SHOTS, name + ".png"))


class ChatPage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        os.makedirs(SHOTS, exist_ok=True)
        folder = tempfile.TemporaryDirectory(prefix="wsr-page-", ignore_cleanup_errors=True)
        cls.addClassCleanup(folder.cleanup)
        cls.folder = folder.name
        driver = Driver(folder.name)
        cls.addClassCleanup(driver.stop)
        cls.pages = []
        for width, height in ((1000, 700), (1000, 700), (380, 720)):
            browser = Browser(driver, width, height)
            cls.addClassCleanup(browser.quit)
            cls.pages.append(Page(browser))
        cls.desktop, cls.other, cls.phone = cls.pages

    def setUp(self):
        self.server = Server(self.folder)
        self.addCleanup(lambda: self.server.end(signal.SIGKILL))
        self.allowed = None  # a pattern: what the console may say in this test

    def tearDown(self):
        said = [line for page in self.pages for line in page.browser.console()]
        for page in self.pages:
            page.browser.run("if (location.protocol === 'http:') sessionStorage.clear()")
            page.browser.open("about:blank")
        self.assertEqual([line for line in said if not (self.allowed and re.search(self.allowed, line))], [])
        self.assertEqual(self.server.end(signal.SIGTERM), 0)

    def test_a_message_goes_from_alice_to_bob_by_keyboard_alone_and_arrives_byte_for_byte(self):
        alice, bob = self.desktop, self.phone
        alice.browser.open(self.server.url)
        bob.browser.open(self.server.url)
        for page, name in ((alice, "alice"), (bob, "bob")):
            self.assertEqual(page.focus(), "name")
            page.shot(f"{name}-1-before")
            self.assertTrue(page.fits())
            page.browser.press(name + ENTER)
            self.assertRegex(page.wait_state("on"), f"{name}.*web-1")
            until("the focus goes on to the recipient", lambda p=page: p.focus() == "to")
            page.shot(f"{name}-2-connected")
        typed = "  <b>\"hi\"</b> & \\n \u00e9e\u0301 \u2603  two  spaces "
        alice.browser.press("bob" + TAB)
        alice.browser.press(typed + ENTER)
        alice.wait_word("delivered")
        pasted = "\U0001f9ea \u202e right to left \u0000 and a nul"
        alice.say(pasted)
        until("both messages are at bob", lambda: len(bob.messages()) == 2)
        self.assertEqual([(who, text.encode()) for who, text in bob.messages()],
                         [("alice", typed.encode()), ("alice", pasted.encode())])
        self.assertEqual(bob.browser.run("return to.value"), "alice")  # the answer needs no recipient typed
        self.assertEqual(bob.browser.run("return log.querySelectorAll('.text *').length"), 0)
        bob.say("Hello alice. This is a rather long answer, long enough to need more than one line on any phone: "
                + "and_a_word_without_end_" * 4)
        bob.wait_word("delivered")
        until("the answer is at alice", lambda: len(alice.messages()) == 1)
        alice.say("fine")
        alice.wait_word("delivered")
        for page, name in ((alice, "alice"), (bob, "bob")):
            page.shot(f"{name}-3-talking")
            self.assertTrue(page.fits())

    def test_a_link_fills_in_the_name_and_connects_nobody(self):
        self.desktop.browser.open(f"{self.server.url}?user=mallory&to=bob")
        self.assertEqual(self.desktop.browser.run("return [$('name').value, $('to').value]"), ["mallory", "bob"])
        self.assertEqual(self.desktop.focus(), "joinButton")
        self.assertEqual(self.desktop.state()[1], "not connected")
        # The script has run to its end, and left nothing that could connect later.
        self.assertEqual(self.desktop.browser.run("return [socketsOpened, timersPending.size]"), [0, 0])
        self.desktop.browser.press(ENTER)
        self.assertIn("mallory", self.desktop.wait_state("on"))

    def test_no_other_page_puts_this_one_into_a_frame(self):
        with urllib.request.urlopen(self.server.url, timeout=20) as answer:
            self.assertIn("frame-ancestors 'none'", answer.headers["Content-Security-Policy"])
            self.assertEqual(answer.headers["X-Frame-Options"], "DENY")
        self.allowed = "frame"
        self.desktop.browser.open(self.server.url)
        self.desktop.browser.run("const frame = document.createElement('iframe'); frame.src = '/?user=framed';"
                                 "frame.onload = () => window.frameLoaded = true; document.body.append(frame)")
        until("the frame has come to its end", lambda: self.desktop.browser.run("return window.frameLoaded"))
        self.assertFalse(self.desktop.browser.run(
            "try { return Boolean(document.querySelector('iframe').contentDocument.getElementById('joinButton')) }"
            " catch { return false }"))

    def test_every_message_gets_its_word(self):
        self.desktop.join(self.server.url, "alice", "nobody")
        self.desktop.say("is anybody there?")
        self.assertIn("nobody", self.desktop.wait_word("offline"))
        self.desktop.browser.run("to.value = 'alice'")
        self.desktop.say("to myself")
        self.desktop.wait_word("delivered")
        self.desktop.shot("words")

    def test_values_are_shown_as_they_came_and_the_newest_message_is_in_view(self):
        self.phone.join(self.server.url, "bob")
        values = ['9007199254740993', '{"a" : [1.0, null]}', '{}', '"\\u0061\\"data\\":1"']
        for value in values:
            self.assertEqual(self.server.send("bob", value), "delivered")
        for number in range(30):
            self.server.send("bob", f'"line {number}"')
        until("all are shown", lambda: len(self.phone.messages()) == len(values) + 30)
        self.assertEqual([text for _, text in self.phone.messages()[:4]], values[:3] + ['a"data":1'])
        self.assertTrue(self.phone.browser.run("return log.scrollHeight - log.scrollTop - log.clientHeight < 2"))
        self.assertTrue(self.phone.fits())
        self.phone.shot("many")

    def test_a_replaced_page_says_so_and_stays_away(self):
        self.desktop.join(self.server.url, "alice", "bob")
        self.other.join(self.server.url, "bob", "alice")
        self.phone.join(self.server.url, "alice")
        self.assertRegex(self.desktop.wait_state("off"), "another|elsewhere")
        self.assertIn("alice", self.desktop.notes()[-1])
        # It opened one socket and has no timer that could open another.
        self.assertEqual(self.desktop.browser.run("return [socketsOpened, timersPending.size]"), [1, 0])
        self.other.say("to the newer one")
        self.other.wait_word("delivered")
        until("the message is at the newer page", lambda: len(self.phone.messages()) == 1)
        self.assertEqual(self.desktop.messages(), [])
        self.assertEqual(self.phone.state()[0], "on")
        self.desktop.shot("replaced")
        # The person may take the name back.
        self.desktop.browser.run("joinButton.focus()")
        self.desktop.browser.press(ENTER)
        self.desktop.wait_state("on")
        self.phone.wait_state("off")
        self.phone.shot("replaced-phone")

    def test_pages_come_back_when_the_server_does(self):
        self.allowed = rf"WebSocket connection to 'ws://127\.0\.0\.1:{self.server.port}/chat\?user=(alice|bob)' failed"
        alice, bob = self.desktop, self.phone
        alice.join(self.server.url, "alice", "bob")
        bob.join(self.server.url, "bob", "alice")
        self.server.process.send_signal(signal.SIGSTOP)
        alice.say("into the void")
        self.assertEqual(alice.words(), ["\u2026"])
        self.server.end(signal.SIGKILL)
        alice.wait_word("unknown")
        for page in (alice, bob):
            page.wait_state("wait")
        alice.browser.run("text.value = 'typed meanwhile'; text.focus()")
        until("a try failed", lambda: alice.browser.run("return socketsOpened") >= 2)
        alice.shot("lost")
        bob.shot("lost-phone")
        self.server = Server(self.folder, self.server.port)
        for page in (alice, bob):
            page.wait_state("on")
        self.assertEqual(alice.focus(), "text")  # the person goes on where they were
        alice.browser.press(ENTER)
        alice.wait_word("delivered")
        until("the message is at bob", lambda: [text for _, text in bob.messages()] == ["typed meanwhile"])
        alice.shot("back")


if __name__ == "__main__":
    lacking = missing()
    if lacking:
        print(f"skipped: there is no {lacking} here (Debian: apt-get install chromium chromium-driver)")
        sys.exit(77)
    unittest.main(argv=sys.argv[:1], verbosity=2)
