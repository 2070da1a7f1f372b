"""report.html of `wsr simulate --out` in a real browser: what it draws is held against result.json, by keyboard.

Run: python3 report_test.py PATH_TO_WSR FOLDER_OF_SCENARIOS FOLDER_FOR_SCREENSHOTS. Standard library only.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

from webdriver import TAB, Browser, Driver, missing, until

WSR, SCENARIOS, SHOTS = (os.path.abspath(each) for each in sys.argv[1:4])
LEFT, RIGHT, HOME, END, SPACE = "\ue012", "\ue014", "\ue011", "\ue010", " "


class Report(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        os.makedirs(SHOTS, exist_ok=True)
        folder = tempfile.TemporaryDirectory(prefix="wsr-report-", ignore_cleanup_errors=True)
        cls.addClassCleanup(folder.cleanup)
        cls.folder = folder.name
        driver = Driver(folder.name)
        cls.addClassCleanup(driver.stop)
        cls.wide, cls.narrow = Browser(driver, 1280, 900), Browser(driver, 400, 800)
        for browser in (cls.wide, cls.narrow):
            cls.addClassCleanup(browser.quit)

    def simulate(self, scenario, *arguments):
        """Runs it; the page's address and the first run in result.json."""
        out = os.path.join(self.folder, f"out-{self.id().rsplit('.', 1)[-1]}")
        subprocess.run([WSR, "simulate", scenario, "--quiet", "--out", out, *arguments], check=False,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        with open(os.path.join(out, "result.json"), encoding="utf-8") as text:
            result = json.load(text)["scenarios"][0]
        return pathlib.Path(out, "report.html").as_uri(), result["runs"][0]

    def show(self, scenario, *arguments, browser=None):
        browser = browser or self.wide
        address, run = self.simulate(scenario, *arguments)
        browser.open(address)
        until("the lanes are drawn", lambda: browser.run("return document.querySelectorAll('#lanes .server').length"))
        return run

    def texts(self, selector, browser=None):
        return (browser or self.wide).run(
            "return [...document.querySelectorAll(arguments[0])].map(e => e.textContent)", selector)

    def tearDown(self):
        for browser in (self.wide, self.narrow):
            self.assertEqual(browser.console(), [])

    def test_what_it_draws_is_what_was_measured(self):
        run = self.show(f"{SCENARIOS}/hard-death.json")
        self.wide.screenshot(f"{SHOTS}/report.png")
        lanes = self.wide.run("return [...document.querySelectorAll('#lanes [data-lane]')].map(e => e.dataset.lane)")
        self.assertEqual(lanes[:5], ["s1", "s2", "s3", "s4", "s5"])
        self.assertEqual(len(lanes), 45)
        self.assertTrue(all(lane.startswith("c") for lane in lanes[5:]))
        # s2 was killed and came back: two spans; every client that has a lane was connected somewhere.
        spans = self.wide.run("return Object.fromEntries([...document.querySelectorAll('#lanes [data-lane]')]"
                              ".map(e => [e.dataset.lane, e.querySelectorAll('rect').length]))")
        self.assertEqual([spans[name] for name in lanes[:5]], [1, 2, 1, 1, 1])
        self.assertTrue(all(spans[name] >= 1 for name in lanes[5:]))
        self.assertEqual(self.wide.run("return [...document.querySelectorAll('#lanes .step')].map(e => e.dataset.step)"),
                         ["kill"])
        verdicts = self.wide.run("return [...document.querySelectorAll('#verdicts tr')]"
                                 ".map(tr => [...tr.children].map(td => td.textContent))")
        self.assertEqual([line[:3] for line in verdicts],
                         [[each["verdict"], each["name"], each["says"]] for each in run["expectations"]])
        self.assertEqual(len(self.texts("#lanes .window")), len(run["expectations"]))
        counts = dict(self.wide.run("return [...document.querySelectorAll('#counts tr')]"
                                    ".map(tr => [...tr.children].map(td => td.textContent.replaceAll(',', '')))"))
        self.assertEqual(counts, {name: str(count) for name, count in run["counts"].items() if count})

    def test_the_latency_plots_show_the_messages_of_the_run(self):
        run = self.show(f"{SCENARIOS}/hard-death.json")
        heard = self.wide.run("return data.latency.messages")
        self.assertEqual(heard, run["counts"]["deliver.latency"] + run["counts"]["room.latency"])
        curves = self.wide.run("return [...document.querySelectorAll('#latency .curve')]"
                               ".map(e => [e.dataset.curve, +e.dataset.points])")
        self.assertEqual([name for name, _ in curves], ["max", "p99", "p50"])
        self.assertTrue(all(points > 60 for _, points in curves), curves)
        most = self.wide.run("return Math.max(...data.latency.over_time.map(each => each[4]))")
        self.assertLessEqual(abs(most - run["latency_ms"]["max"]) / most, 0.07)  # the summary's histogram is to 6 %
        self.assertEqual(self.wide.run("return data.latency.below_ms.reduce((sum, each) => sum + each[1], 0)"), heard)
        self.assertEqual(len(self.texts("#sizes .bar")), self.wide.run("return data.latency.below_ms.length"))

    def test_the_keyboard_moves_through_time(self):
        self.show(f"{SCENARIOS}/hard-death.json")
        now, state = lambda: self.wide.run("return document.getElementById('now').textContent"), \
            lambda: " ".join(self.texts("#state span"))
        self.wide.press(END)
        self.assertEqual(now(), "80.000 s")
        self.wide.press(HOME)
        self.assertEqual(now(), "0.000 s")
        self.assertIn("s2 up", state())
        self.wide.press("s")  # the step: s2 is killed
        self.assertIn("kill s2", state())
        self.assertIn("s2 down", state())
        before = now()
        self.wide.press(RIGHT)
        self.assertGreaterEqual(now(), before)
        self.assertIn("now", self.wide.run("return document.querySelector('#notes .now').className"))
        self.wide.press(LEFT)
        self.assertEqual(now(), before)
        self.wide.press("/")
        self.assertEqual(self.wide.run("return document.activeElement.id"), "find")
        self.wide.press("STEP")
        self.assertEqual(len(self.texts("#notes li")), 1)
        self.wide.press("\ue00c")  # Escape gives the keys back to the page
        self.wide.press(SPACE)
        until("it plays", lambda: self.texts("#play") == ["Pause"])
        until("time passes", lambda: now() != before)
        self.wide.press(SPACE)
        self.assertEqual(self.texts("#play"), ["Play"])

    def test_every_control_can_be_reached_with_the_tabulator(self):
        self.show(f"{SCENARIOS}/hard-death.json")
        reached = []
        for _ in range(4):
            self.wide.press(TAB)
            reached.append(self.wide.run("return document.activeElement.id"))
        self.assertEqual(reached, ["play", "time", "find", "notes"])
        named = self.wide.run("return [...document.querySelectorAll('input,ol,svg,button')].every(e => e.ariaLabel"
                              " || e.getAttribute('aria-labelledby') || e.labels?.length || e.textContent.trim())")
        self.assertTrue(named)

    def test_a_finding_is_where_the_page_begins(self):
        run = self.show(f"{SCENARIOS}/client-hopping.json", "--mutant", "unfenced-release")
        self.wide.screenshot(f"{SHOTS}/report-finding.png")
        self.assertEqual(run["ending"], "safety")
        self.assertIn("FINDING fenced-release", self.texts("#notes .now")[0])
        at = run["findings"][0]["at_seconds"]
        self.assertEqual(self.texts("#now"), [f"{at:.3f} s"])
        self.assertIn("--mutant unfenced-release", self.texts("#replay")[0])

    def test_words_of_a_scenario_are_words_and_no_markup(self):
        evil = "</script><script>document.title='evil'</script><img src=x onerror=\"document.title='evil'\"><!-- '\\"
        with open(f"{SCENARIOS}/takeover.json", encoding="utf-8") as text:
            scenario = "\n".join(line for line in text.read().splitlines() if not line.lstrip().startswith("//"))
        given = json.loads(scenario)
        given["summary"] = evil
        for step in given.get("timeline", []):
            step["note"] = evil
        path = os.path.join(self.folder, "evil.json")
        with open(path, "w", encoding="utf-8") as text:
            json.dump(given, text)
        self.show(path)
        self.assertEqual(self.texts("#summary"), [evil])
        self.assertEqual(self.wide.run("return [document.title, document.querySelectorAll('img').length]"),
                         ["takeover · wsr simulate", 0])

    def test_steps_and_findings_stay_however_many_notes_there_are(self):
        run = self.show(f"{SCENARIOS}/fd-reuse.json", "--routing", "naive")
        self.assertGreater(self.wide.run("return data.left_out.notes"), 1000)
        self.assertGreater(len(run["findings"]), 8)
        first = min(each["at_seconds"] for each in run["findings"])
        self.assertEqual(self.texts("#now"), [f"{first:.3f} s"])
        shown = self.wide.run("return data.notes.filter(n => n[3].startsWith('FINDING')).length")
        self.assertEqual(shown, len(run["findings"]))
        self.assertIn(f"and {len(run['findings']) - 8}", " ".join(self.texts("#verdicts td")))
        self.assertEqual(self.wide.run("return document.getElementById('time').getAttribute('aria-valuetext')"),
                         f"{first:.3f} seconds")

    def test_what_is_too_much_to_draw_is_said(self):
        large = f"{SCENARIOS}/../bench/sim-hundred-thousand.json"
        self.show(large, "--until", "5s")
        self.assertIn("60 servers, 99,960 clients", self.texts("#left")[0])
        address, run = self.simulate(large, "--until", "18s")
        self.assertGreater(run["events"], 3_000_000)
        self.wide.open(address)
        self.assertIn("too many to draw", until("the page is drawn", lambda: self.texts("#left")[0]))
        self.assertEqual(self.texts("#lanes .client"), [])

    def test_it_fits_a_narrow_window(self):
        self.show(f"{SCENARIOS}/room-churn.json", browser=self.narrow)
        self.narrow.screenshot(f"{SHOTS}/report-narrow.png")
        self.assertLessEqual(*self.narrow.run("return [document.documentElement.scrollWidth, innerWidth]"))


if __name__ == "__main__":
    lacking = missing()
    if lacking:
        print(f"skipped: there is no {lacking} here (Debian: apt-get install chromium chromium-driver)")
        sys.exit(77)
    unittest.main(argv=sys.argv[:1], verbosity=2)
