"""A small web service that counts its visits in Redis."""
import http.server
import os
import secrets
import signal
import socket
import sys

GREETING = "Hello"
REDIS = (os.environ.get("REDIS_HOST", "redis"), 6379)
TICKET = secrets.token_hex(3)  # anew at every start; only the log shows it


def redis(*words):
    """Send one command to Redis and return its answer as text ("" if there is none)."""
    command = f"*{len(words)}\r\n"
    for word in words:
        command += f"${len(word.encode())}\r\n{word}\r\n"
    with socket.create_connection(REDIS, timeout=2) as conn:
        conn.sendall(command.encode())
        answer = conn.makefile("rb")
        line = answer.readline().decode().rstrip()
        if line.startswith("$"):  # a string of that many bytes
            size = int(line[1:])
            return answer.read(size).decode() if size >= 0 else ""
        if line.startswith("-"):
            raise OSError(line[1:])
        return line[1:]  # +text or :number


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        try:
            status, text = self.answer()
        except OSError as err:
            status, text = 503, f"cannot talk to Redis at {REDIS[0]}: {err}"
        body = (text + "\n").encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def answer(self):
        if self.path == "/":
            visit = redis("INCR", "visits")
            return 200, f"{GREETING}! This is visit {visit}, answered by {socket.gethostname()}."
        if self.path == "/status":  # looks without counting
            return 200, "\n".join([
                f"greeting: {GREETING}",
                f"visits: {redis('GET', 'visits') or 0}",
                f"ticket: {redis('GET', 'ticket') or 'not used'}",
                f"motto: {redis('GET', 'motto')}",
            ])
        if self.path == f"/ticket/{TICKET}":
            redis("SET", "ticket", "used")
            return 200, "The ticket is right."
        if self.path.startswith("/ticket/"):
            redis("SETNX", "ticket", "wrong")
            return 404, "No such ticket."
        return 404, "There is nothing here."

    def log_message(self, format, *args):
        if self.path != "/status":
            print(self.command, self.path, flush=True)


# Docker stops a container with SIGTERM. The main program of a container must handle it, or it is killed after 10 seconds.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))

print(f"ticket: {TICKET}", flush=True)
http.server.ThreadingHTTPServer(("", 8000), Handler).serve_forever()
