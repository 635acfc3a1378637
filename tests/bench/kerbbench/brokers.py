"""Servers of others, beside which the chat is measured: on free ports of loopback, with a certificate of this run."""
import os
import socket
import subprocess
import time

from kerbtest.realm import free_port

from .server import ROOT, START_S, Server

# The plain listener is not used; without one Mosquitto 2.0.11 does not start.
MOSQUITTO = """\
listener {other_port} 127.0.0.1
listener {port} 127.0.0.1
protocol websockets
certfile {cert}
keyfile {key}
allow_anonymous true
persistence false
max_queued_messages 0
set_tcp_nodelay true
log_dest stderr
log_type error
{user}
"""

NATS = """\
host: "127.0.0.1"
port: {other_port}
websocket {{
  host: "127.0.0.1"
  port: {port}
  tls {{ cert_file: "{cert}", key_file: "{key}" }}
}}
"""

NGINX = """\
daemon off;
worker_processes 1;
pid {dir}/nginx.pid;
error_log stderr error;
{user}
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {cert};
        ssl_certificate_key {key};
        ssl_protocols TLSv1.3;
        location /chat {{
            proxy_pass http://127.0.0.1:{behind};
            proxy_http_version 1.1;
            proxy_buffering off;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
            proxy_read_timeout 1h;
        }}
    }}
}}
"""


def need_packages():
    script = f'. {ROOT}/deploy/packages.sh && need_packages "${{PACKAGES_BENCH[@]}}"'
    if subprocess.run(["bash", "-c", script], check=False).returncode:
        raise SystemExit("the brokers are missing")


def certificate(directory):
    cert, key = os.path.join(directory, "cert.pem"), os.path.join(directory, "key.pem")
    if not os.path.exists(cert):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-days", "1", "-subj", "/CN=127.0.0.1", "-keyout", key, "-out", cert], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return cert, key


class Broker(Server):
    """config: the text of its configuration; argv(path): the command that reads it."""

    def __init__(self, name, directory, config, argv, **words):
        cert, key = certificate(directory)
        port, path = free_port(), os.path.join(directory, name + ".conf")
        user = {"mosquitto": "user root", "nginx": "user root;"}.get(name, "") if os.geteuid() == 0 else ""
        with open(path, "w", encoding="utf-8") as f:
            f.write(config.format(port=port, cert=cert, key=key, dir=directory, user=user, **words))
        super().__init__(argv(path), os.path.join(directory, name + ".log"), port=port)
        self.wait_open()

    def wait_open(self):
        end = time.monotonic() + START_S
        while time.monotonic() < end and self.is_alive():
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise SystemExit(f"{self.popen.args[0]} does not listen:\n{open(self.log_path).read()}")


def mosquitto(directory):
    return Broker("mosquitto", directory, MOSQUITTO, lambda path: ["/usr/sbin/mosquitto", "-c", path], other_port=free_port())


def nats(directory):
    return Broker("nats", directory, NATS, lambda path: ["/usr/sbin/nats-server", "-c", path], other_port=free_port())


def nginx(directory, behind):
    """TLS in front of a port."""
    return Broker("nginx", directory, NGINX, lambda path: ["/usr/sbin/nginx", "-e", "stderr", "-c", path], behind=behind)
