"""The clients of soak.py: a probe, receivers that stall, and strangers who are challenged and leave (RFC 4975, RFC 4976)."""

import hashlib
import re
import secrets
import socket
import ssl
import threading
import time

PATIENCE = 20
PROBES_PER_SECOND = 25


class Link:
    """A TLS connection with frames on it."""

    def __init__(self, port, ca, buffer=None):
        context = ssl.create_default_context(cafile=ca)
        plain = socket.socket()
        if buffer:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        plain.settimeout(PATIENCE)
        plain.connect(("127.0.0.1", port))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = context.wrap_socket(plain, server_hostname="localhost")
        self.relay = f"msrps://localhost:{port};tcp"
        self.uri = f"msrps://127.0.0.1:{self.socket.getsockname()[1]}/{secrets.token_hex(10)};tcp"
        self.octets = b""

    def request(self, method, to, headers=(), body=None):
        """Writes a request; its transact-id."""
        tid = secrets.token_hex(8)
        lines = [f"MSRP {tid} {method}", f"To-Path: {to}", f"From-Path: {self.uri}", *headers]
        text = "\r\n".join(lines).encode() + b"\r\n"
        if body is not None:
            text += b"Content-Type: text/plain\r\n\r\n" + body + b"\r\n"
        self.socket.sendall(text + f"-------{tid}$\r\n".encode())
        return tid

    def frame(self):
        """The next frame, as text."""
        while True:
            start = re.match(rb"(?:\r\n)*MSRP (\S+) ", self.octets)
            end = start and re.search(rb"-------" + re.escape(start[1]) + rb"[$+#]\r\n", self.octets)
            if end:
                frame, self.octets = self.octets[: end.end()], self.octets[end.end() :]
                return frame.decode()
            octets = self.socket.recv(65536)
            if not octets:
                raise ConnectionError("the relay has closed")
            self.octets += octets

    def challenge(self):
        """The challenge for MD5 that AUTH without credentials brings."""
        self.request("AUTH", self.relay)
        answer = self.frame()
        found = [line for line in answer.split("\r\n") if line.startswith("WWW-Authenticate:")]
        if " 401" not in answer.split("\r\n")[0] or not found:
            raise ConnectionError(f"no challenge but {answer.splitlines()[0]}")
        return dict(re.findall(r'(\w+)="?([^",]+)"?', next(line for line in found if "SHA-256" not in line)))

    def authenticate(self, user="alice", password="secret"):
        """The path under which others reach us."""
        given = self.challenge()
        md5 = lambda text: hashlib.md5(text.encode()).hexdigest()
        cnonce, nc = secrets.token_hex(8), "00000001"
        ha1, ha2 = md5(f"{user}:{given['realm']}:{password}"), md5(f"AUTH:{self.relay}")
        proof = md5(f"{ha1}:{given['nonce']}:{nc}:{cnonce}:auth:{ha2}")
        opaque = f', opaque="{given["opaque"]}"' if "opaque" in given else ""
        header = f'Authorization: Digest username="{user}", realm="{given["realm"]}", nonce="{given["nonce"]}", uri="{self.relay}", '
        header += f'response="{proof}", qop=auth, nc={nc}, cnonce="{cnonce}", algorithm=MD5{opaque}'
        self.request("AUTH", self.relay, [header])
        answer = self.frame()
        path = re.search(r"\r\nUse-Path: (\S+)\r\n", answer)
        if not path:
            raise ConnectionError(f"no grant but {answer.splitlines()[0]}")
        return f"{path[1]} {self.uri}"

    def send(self, to, number, body):
        """A SEND that nobody answers."""
        length = len(body)
        headers = [f"Message-ID: {number}", f"Byte-Range: 1-{length}/{length}", "Failure-Report: no"]
        self.request("SEND", to, headers, body)

    def close(self):
        self.socket.close()


class Clients:
    """Three kinds of clients, each in a thread, until `stop`; what goes wrong is appended to `trouble`."""

    def __init__(self, port, ca, stop, trouble):
        self.port, self.ca, self.stop, self.trouble = port, ca, stop, trouble
        self.times, self.lock = [], threading.Lock()
        self.stalls = self.challenges = 0
        self.threads = []

    def start(self, rate):
        for work, pause in ((self.probe, 0), (self.stall, 2 / max(rate, 0.1)), (self.be_challenged, 0.1 / max(rate, 0.1))):
            thread = threading.Thread(target=self.repeat, args=(work, pause), daemon=True)
            thread.start()
            self.threads.append(thread)

    def join(self):
        for thread in self.threads:
            thread.join(2 * PATIENCE)

    def repeat(self, work, pause):
        while not self.stop.is_set():
            try:
                work()
            except (OSError, ValueError, KeyError, StopIteration) as error:
                if not self.stop.is_set():
                    self.trouble.append(f"{work.__name__}: {error!r}")
                    self.stop.wait(1)
            self.stop.wait(pause)

    def take_times(self):
        """Times to delivery in milliseconds since the last call, sorted."""
        with self.lock:
            times, self.times = self.times, []
        return sorted(times)

    def probe(self):
        """Writes a line to itself through the relay, again and again, and measures how long it takes."""
        callee, caller = Link(self.port, self.ca), Link(self.port, self.ca)
        to = callee.authenticate()
        number = 0
        try:
            # A token lives for half an hour where nothing is said: this one is used.
            while not self.stop.is_set():
                number += 1
                body = f"probe {number}".encode()
                began = time.monotonic()
                caller.send(to, f"p{number}", body)
                frame = callee.frame()
                if body.decode() not in frame:
                    raise ConnectionError(f"not probe {number} but {frame.splitlines()[0]}")
                with self.lock:
                    self.times.append(1000 * (time.monotonic() - began))
                self.stop.wait(max(0, began + 1 / PROBES_PER_SECOND - time.monotonic()))
        finally:
            callee.close()
            caller.close()

    def stall(self):
        """A receiver that stops reading while somebody floods it, for ten seconds; then both leave without a word."""
        callee, caller = Link(self.port, self.ca, buffer=4096), Link(self.port, self.ca)
        try:
            to = callee.authenticate()
            caller.socket.settimeout(2)
            try:
                for number in range(10_000):
                    caller.send(to, f"s{number}", b"x" * 2000)
            except TimeoutError:
                # The relay reads no more, as it should.
                self.stalls += 1
            self.stop.wait(10)
        finally:
            callee.close()
            caller.close()

    def be_challenged(self):
        """A stranger who asks, is challenged, and leaves."""
        link = Link(self.port, self.ca)
        try:
            link.challenge()
            self.challenges += 1
        finally:
            link.close()
