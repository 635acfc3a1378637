"""Somebody between the clients and the daemons, who may change everything that passes."""
import http.server
import json
import threading

from . import web


class Meddler:
    """
    A plain HTTP server in front of a realm. edit_request and edit_reply are (path, n, fields) -> fields, with n counting
    the requests from 0; the fields are the JSON object that passes. `sent` are the requests as the clients wrote them.
    """

    def __init__(self, realm):
        self.realm, self.sent, self.answered = realm, [], []
        self.edit_request = self.edit_reply = lambda path, n, fields: fields
        meddler = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                status, body = meddler.pass_on(self.path, raw)
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.handle_error = lambda *_: None  # a client that goes away is what some tests want
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def pass_on(self, path, raw):
        n = len(self.sent)
        fields = json.loads(raw)
        self.sent.append((path, fields))
        changed = self.edit_request(path, n, dict(fields))
        addr = self.realm.tgs_addr if path.startswith("/tgs") else self.realm.as_addr
        r = web.post_json(addr, path, raw if changed == fields else changed)
        told = self.edit_reply(path, n, r.json)
        self.answered.append((r.status, r.json))
        status = r.status
        if isinstance(told, tuple):
            status, told = told
        return status, r.body if told == r.json else json.dumps(told).encode()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
