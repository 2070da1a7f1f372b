"""The real `wsr` binary from outside: what it prints, how it exits, and that it finds and loses its servers.

Run: python3 binary_test.py PATH_TO_WSR. Standard library only; loopback only.
"""
import base64
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

WSR = sys.argv.pop(1) if len(sys.argv) > 1 else "build/dev/cli/wsr"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Client:
    """A WebSocket client, just large enough for wsr.v1 text frames."""

    def __init__(self, port, user):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall((f"GET /chat?user={user} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
                             f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n")
                            .encode())
        self.buffer = b""
        while b"\r\n\r\n" not in self.buffer:
            self.buffer += self.some()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        assert head.startswith(b"HTTP/1.1 101"), head
        self.welcome = self.read()
        assert self.welcome["op"] == "welcome", self.welcome

    def some(self):
        data = self.socket.recv(65536)
        if not data:
            raise EOFError("the server closed the connection")
        return data

    def take(self, size):
        while len(self.buffer) < size:
            self.buffer += self.some()
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def frame(self):
        first, length = self.take(2)
        if length == 126:
            length, = struct.unpack(">H", self.take(2))
        elif length == 127:
            length, = struct.unpack(">Q", self.take(8))
        return first & 15, self.take(length)

    def read(self):
        opcode, data = self.frame()
        assert opcode == 1, (opcode, data)
        return json.loads(data)

    def close_code(self):
        while True:
            opcode, data = self.frame()
            if opcode == 8:
                return struct.unpack(">H", data[:2])[0]

    def close(self):
        self.socket.close()

    __del__ = close


class Case(unittest.TestCase):
    def setUp(self):
        self.runtime = tempfile.mkdtemp(prefix="wsr-binary-test-")
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("WSR_")}
        self.env["XDG_RUNTIME_DIR"] = self.runtime
        self.processes = []

    def tearDown(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.communicate()
        shutil.rmtree(self.runtime)

    def wsr(self, *args, code=0, stdin=None, env=None):
        done = subprocess.run([WSR, *args], input=stdin, capture_output=True, text=True, timeout=30,
                              env={**self.env, **(env or {})})
        self.assertEqual(done.returncode, code, f"wsr {' '.join(args)}\n{done.stdout}\n{done.stderr}")
        return done

    def sentence(self, *args, code, **kw):
        """What a command that fails says: exactly one line on stderr, nothing on stdout."""
        done = self.wsr(*args, code=code, **kw)
        self.assertEqual(done.stdout, "")
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertTrue(done.stderr.startswith("wsr: "), done.stderr)
        return done.stderr

    def serve(self, *args, port=None):
        port = port or free_port()
        process = subprocess.Popen([WSR, "serve", "-p", str(port), "--shards", "2", *args], env=self.env, text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.processes.append(process)
        line = process.stdout.readline()
        self.assertIn(f"listens on http://127.0.0.1:{port}", line, process.poll() and process.stderr.read())
        return process, port, line

    def stop(self, process, how=signal.SIGTERM):
        process.send_signal(how)
        process.wait(timeout=15)
        return process.returncode

    def get(self, port, path, method="GET"):
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


class WithoutServer(Case):
    def test_version_and_help(self):
        self.assertRegex(self.wsr("--version").stdout, r"^wsr \d+\.\d+\.\d+\n$")
        text = self.wsr("--help").stdout
        for word in ("serve", "send", "room", "owners", "--config", "depends on its command line alone"):
            self.assertIn(word, text)
        self.assertNotIn("Env:", self.wsr("simulate", "--help").stdout)
        self.assertIn("as of the server's last renewal", self.wsr("owners", "servers", "--help").stdout)
        text = self.wsr("serve", "--help").stdout
        for word in ("--store", "WSR_STORE", "--lease", "=6s", "--allow-public", "--message-max", "=64KiB", "--client-rate",
                     "--memberships-max", "--slow-consumer"):
            self.assertIn(word, text)
        self.assertIn("Exit code", self.wsr("send", "--help").stdout)
        self.assertIn("watch", self.wsr("owners", "--help").stdout)
        text = self.wsr("room", "--help").stdout
        for word in ("list", "size", "members", "is-member", "push", "watch", "join", "leave", "Exit code", "--json"):
            self.assertIn(word, text)
        for word in ("--from", "--no-echo", "--raw", "TEXT"):
            self.assertIn(word, self.wsr("room", "push", "--help").stdout)

    def test_wrong_options_are_one_sentence_and_exit_2(self):
        for args in (["nonsense"], ["serve", "--nonsense"], ["serve", "--lease", "6"], ["serve", "-p", "70000"],
                     ["serve", "--lease", "1s", "--probe", "500ms"], ["serve", "--bind", "0.0.0.0"],
                     ["serve", "--store", "mysql://x"], ["serve", "--name", "a b"], ["send", "alice"],
                     ["send", "", "hi"], ["send", "alice", "hi", "--server", "ftp://x"],
                     ["send", "alice", "hi", "--server", "http://127.0.0.1:1", "--store", "redis://127.0.0.1:1"],
                     ["send", "alice", "--raw", "hi"], ["owners", "--count", "0"],
                     ["serve", "--client-rate", "20/1"], ["serve", "--client-burst", "5"],
                     ["serve", "--slow-consumer", "wait"], ["serve", "--memory-max", "1KiB"],
                     ["room", "nonsense"], ["room", "size", ""], ["room", "size", "a" * 129],
                     ["room", "size", "a\tb"], ["room", "join", "lobby", ""], ["room", "push", "lobby", "--raw", "hi"],
                     ["room", "push", "lobby", "hi", "--no-echo"], ["room", "push", "lobby", "hi", "--from", "a\tb"],
                     ["room", "members", "lobby", "--count", "0"], ["room", "list", "--count", "1001"],
                     ["room", "watch", "lobby", "--server", "ftp://x"]):
            with self.subTest(args=args):
                self.sentence(*args, code=2)

    def test_missing_words_come_with_a_usage_and_an_example(self):
        for args, code in ((["send"], 2), (["owners", "get"], 2), (["room", "size"], 2), (["room", "is-member", "lobby"], 2),
                           (["room", "push", "lobby"], 2), (["simulate"], 64)):
            with self.subTest(args=args):
                done = self.wsr(*args, code=code)
                self.assertEqual(done.stdout, "")
                said, usage, example = done.stderr.splitlines()
                self.assertIn(" needs ", said)
                self.assertRegex(usage, r"^  usage:    wsr \w+ .*\[OPTIONS\]$")
                self.assertRegex(example, r"^  example:  wsr \w+ ")
        done = self.wsr(code=2)
        self.assertEqual(done.stdout, "")
        for word in ("serve", "send", "room", "owners", "simulate", "wsr --help"):
            self.assertIn(word, done.stderr)

    def test_wrong_words_name_what_is_near_and_simulate_exits_with_64(self):
        for args, code, near in ((["sned", "alice", "hi"], 2, "'send'"), (["serve", "--portt", "1"], 2, "'--port'"),
                                 (["simulate", "x", "--sede", "1"], 64, "'--seed'"),
                                 (["simulate", "x", "--routing", "navie"], 64, "'naive'"),
                                 (["simulate", "x", "--seed", "-1"], 64, "--seed '-1' is below 0"),
                                 (["--config", "/nonexist", "simulate", "x"], 64, "there is no file '/nonexist'"),
                                 (["--config", "simulate", "serve"], 2, "there is no file 'simulate'")):
            with self.subTest(args=args):
                self.assertIn(near, self.sentence(*args, code=code))

    def test_a_variable_is_named_if_its_value_is_wrong(self):
        self.assertIn("WSR_CONFIG: there is no file '/nonexist'",
                      self.sentence("serve", "-p", "0", code=2, env={"WSR_CONFIG": "/nonexist"}))
        self.assertIn("WSR_PORT 'x'", self.sentence("serve", code=2, env={"WSR_PORT": "x"}))

    def test_no_server_says_what_to_start_or_to_pass(self):
        for args in (["send", "alice", "hi"], ["owners"], ["room", "list"], ["room", "watch", "lobby"]):
            text = self.sentence(*args, code=1)
            self.assertIn("wsr serve", text)
            self.assertIn("--server", text)
            self.assertIn("--store", text)

    def test_a_server_that_is_not_there(self):
        url = f"http://127.0.0.1:{free_port()}"
        for args in (["send", "alice", "hi"], ["room", "push", "lobby", "hi"], ["room", "watch", "lobby"]):
            self.assertIn(url, self.sentence(*args, "--server", url, code=1))

    def test_an_unreachable_redis_is_a_sentence(self):
        store = f"redis://127.0.0.1:{free_port()}"
        text = self.sentence("serve", "-p", "0", "--store", store, "--store-wait", "300ms", code=1)
        self.assertIn("127.0.0.1", text)
        self.sentence("send", "alice", "hi", "--store", store, code=1)
        self.assertEqual(os.listdir(self.runtime), [])

    def test_words_of_a_message_may_be_names_of_commands(self):
        url = f"http://127.0.0.1:{free_port()}"
        self.assertIn(url, self.sentence("send", "owners", "serve", "--server", url, code=1))

    def test_options_come_from_a_config_file_too(self):
        path = self.runtime + "/wsr.toml"
        with open(path, "w") as file:
            file.write("[serve]\nlease = \"1s\"\nprobe = \"900ms\"\n")
        for args in (["--config", path, "serve"], ["serve", "--config", path]):
            self.assertIn("three times --probe", self.sentence(*args, code=2))
        with open(path, "w") as file:
            file.write("[serve]\nnonsense = 1\n")
        for args, code in ((["--config", path, "serve"], 2), (["--config", path, "simulate", "x"], 64)):
            self.assertIn(f"{path}: there is no option 'nonsense' for wsr serve", self.sentence(*args, code=code))
        with open(path, "w") as file:
            file.write("[serve]\nprobe = \"900ms\"\nlease = \"1s\"\n")
        self.assertIn("three times --probe", self.sentence("serve", code=2, env={"WSR_CONFIG": path}))

    def test_a_port_in_use_is_a_sentence(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = str(taken.getsockname()[1])
            self.assertIn(port, self.sentence("serve", "-p", port, code=1))


class WithServer(Case):
    def test_it_listens_says_so_and_ends_on_sigterm_and_sigint(self):
        for how in (signal.SIGTERM, signal.SIGINT):
            process, port, line = self.serve("--name", "web-1")
            self.assertRegex(line, rf"^wsr web-1~[a-z0-9]+ listens on http://127.0.0.1:{port} "
                                   rf"\(store memory, 2 shards\): connect to ws://127.0.0.1:{port}/chat\?user=alice\n$")
            self.assertEqual(len(os.listdir(self.runtime + "/wsr")), 1)
            self.assertEqual(self.stop(process, how), 0)
            self.assertEqual(os.listdir(self.runtime + "/wsr"), [])

    def test_a_second_server_on_the_port_is_refused(self):
        _, port, _ = self.serve()
        self.assertIn(str(port), self.sentence("serve", "-p", str(port), code=1))

    def test_send_finds_the_server_and_says_the_word(self):
        _, port, _ = self.serve("--name", "web-1")
        alice = Client(port, "alice")
        self.assertRegex(self.wsr("send", "alice", "hi").stdout, r"^delivered to alice on web-1 in \d+\.\d ms\n$")
        self.assertEqual(alice.read()["data"], "hi")
        self.wsr("send", "alice", "--raw", "[1, 2]", "--from", "bob")
        message = alice.read()
        self.assertEqual((message["data"], message["from"]), ([1, 2], "bob"))
        self.wsr("send", "alice", "-", stdin="from stdin\n")
        self.assertEqual(alice.read()["data"], "from stdin")
        self.assertEqual(self.wsr("send", "bob", "hi", code=3).stdout, "offline\n")
        lines = self.wsr("send", "alice", "bob", "hi", code=3).stdout.splitlines()
        self.assertTrue(lines[0].startswith("delivered to alice on web-1"))
        self.assertEqual(lines[1], "bob: offline")
        result = json.loads(self.wsr("send", "alice", "hi", "--json").stdout)
        self.assertEqual((result["to"], result["state"]), ("alice", "delivered"))
        self.assertEqual(self.wsr("send", "alice", "hi", "--no-wait").stdout, "sent to alice\n")
        self.assertEqual(self.wsr("send", "bob", "hi", "--server", f"http://127.0.0.1:{port}", code=3).stdout,
                         "offline\n")
        self.wsr("send", "bob", "hi", code=3, env={"WSR_SERVER": f"http://127.0.0.1:{port}"})
        self.wsr("send", "bob", "hi", code=3, env={"WSR_STORE": "memory"})
        alice.close()

    def test_owners(self):
        _, port, _ = self.serve("--name", "web-1")
        alice, bob = Client(port, "alice"), Client(port, "bob")
        table = self.wsr("owners").stdout.splitlines()
        self.assertEqual(table[0].split(), ["CLIENT", "SERVER", "CONNECTION", "EPOCH", "SINCE"])
        self.assertEqual([line.split()[0] for line in table[1:]], ["alice", "bob"])
        self.assertEqual(len(json.loads(self.wsr("owners", "--json").stdout)["owners"]), 2)
        self.assertEqual(len(self.wsr("owners", "get", "alice").stdout.splitlines()), 2)
        self.assertEqual(self.wsr("owners", "get", "carol", code=3).stdout, "offline\n")
        self.assertEqual(self.wsr("owners", "count").stdout, "2\n")
        self.assertIn("web-1~", self.wsr("owners", "by-server").stdout)
        self.assertIn("held", self.wsr("owners", "servers").stdout)
        page = json.loads(self.wsr("owners", "--count", "1", "--json").stdout)
        self.assertEqual(len(page["owners"]), 1)
        self.assertNotEqual(page["cursor"], "0")
        self.assertEqual(self.wsr("owners", "kick", "alice").stdout, "closed 1 connection of alice\n")
        self.assertEqual(alice.close_code(), 1008)
        self.assertEqual(self.wsr("owners", "kick", "carol", code=3).stdout, "offline\n")
        bob.close()

    def test_watch_prints_changes_until_interrupted(self):
        _, port, _ = self.serve()
        watch = subprocess.Popen([WSR, "owners", "watch", "--every", "100ms"], env=self.env, text=True,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.processes.append(watch)
        self.assertIn("CLIENT", watch.stdout.readline())
        alice = Client(port, "alice")
        self.assertTrue(watch.stdout.readline().startswith("+ alice"))
        alice.close()
        self.assertTrue(watch.stdout.readline().startswith("- alice"))
        self.assertEqual(self.stop(watch, signal.SIGINT), 0)

    def test_two_memory_servers_must_be_told_apart(self):
        _, first, _ = self.serve()
        _, second, _ = self.serve()
        done = self.wsr("send", "alice", "hi", code=1)
        self.assertIn(f"--server http://127.0.0.1:{first}", done.stderr)
        self.assertIn(f"--server http://127.0.0.1:{second}", done.stderr)

    def test_a_killed_server_is_not_found(self):
        process, _, _ = self.serve()
        process.kill()
        process.wait()
        self.assertEqual(len(os.listdir(self.runtime + "/wsr")), 1)
        self.assertIn("wsr serve", self.sentence("send", "alice", "hi", code=1))
        self.assertEqual(os.listdir(self.runtime + "/wsr"), [])

    def test_the_page_and_the_api_are_there(self):
        _, port, _ = self.serve()
        status, page = self.get(port, "/")
        self.assertEqual(status, 200)
        self.assertIn("<title>wsr chat</title>", page)
        self.assertEqual(self.get(port, "/healthz")[0], 200)
        status, ready = self.get(port, "/readyz")
        self.assertEqual((status, json.loads(ready)["ready"]), (200, True))
        self.assertEqual(self.get(port, "/api/owners/nobody")[0], 404)
        self.assertEqual(self.get(port, "/api/send")[0], 405)
        self.assertEqual(self.get(port, "/nothing")[0], 404)
        stats = json.loads(self.get(port, "/api/stats")[1])
        self.assertEqual(stats["sent"], 0)


@unittest.skipUnless(shutil.which("redis-server"), "redis-server is not installed")
class WithRedis(Case):
    def setUp(self):
        super().setUp()
        self.redis_port = free_port()
        self.store = f"redis://127.0.0.1:{self.redis_port}"
        self.redis = subprocess.Popen(["redis-server", "--port", str(self.redis_port), "--bind", "127.0.0.1", "--save",
                                       "", "--dir", self.runtime], stdout=subprocess.DEVNULL)
        self.processes.append(self.redis)
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", self.redis_port)).close()
                break
            except OSError:
                time.sleep(0.05)

    def test_send_and_owners_by_the_store_and_by_any_server(self):
        _, first, _ = self.serve("--store", self.store, "--name", "web-1")
        _, second, _ = self.serve("--store", self.store, "--name", "web-2")
        alice = Client(first, "alice")
        bob = Client(second, "bob")
        for way in (["--store", self.store], []):
            with self.subTest(way=way):
                self.assertRegex(self.wsr("send", "alice", "hi", *way).stdout, r"^delivered to alice on web-1 in ")
                self.assertEqual(alice.read()["data"], "hi")
                self.assertRegex(self.wsr("send", "bob", "hi", *way).stdout, r"^delivered to bob on web-2 in ")
                self.assertEqual(bob.read()["data"], "hi")
                self.assertEqual(self.wsr("send", "carol", "hi", *way, code=3).stdout, "offline\n")
                self.assertEqual(self.wsr("send", "bob", "quick", "--no-wait", *way).stdout, "sent to bob\n")
                self.assertEqual(bob.read()["data"], "quick")
                self.assertEqual(self.wsr("owners", "count", *way).stdout, "2\n")
                self.assertEqual(len(self.wsr("owners", *way).stdout.splitlines()), 3)
                self.assertEqual(len(self.wsr("owners", "by-server", *way).stdout.splitlines()), 3)
                self.assertEqual(len(self.wsr("owners", "servers", *way).stdout.splitlines()), 3)
                self.assertIn("web-1~", self.wsr("owners", "get", "alice", *way).stdout)
        self.wsr("owners", "kick", "alice", "--store", self.store)
        self.assertEqual(alice.close_code(), 1008)
        bob.close()


if __name__ == "__main__":
    unittest.main()
