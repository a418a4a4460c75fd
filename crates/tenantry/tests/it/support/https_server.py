# Serves one file over TLS at a free port of 127.0.0.1, with a certificate for that address alone.
#
# Arguments: the file, and where to write the certificate of the authority. Prints {"port"} once it listens; ends with
# its input.

import datetime
import http.server
import ipaddress
import json
import ssl
import sys
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

served, authority_file = sys.argv[1:3]
BEGIN = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=1)
AUTHORITY = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Authority of a test")])


def certificate(name, key, signer, extensions):
    builder = x509.CertificateBuilder(AUTHORITY, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(BEGIN).not_valid_after(BEGIN + datetime.timedelta(days=30))
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


authority = ec.generate_private_key(ec.SECP256R1())
with open(authority_file, "wb") as file:
    file.write(certificate(AUTHORITY, authority, authority, [(x509.BasicConstraints(True, 0), True)]))
key = ec.generate_private_key(ec.SECP256R1())
names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
extensions = [
    (x509.BasicConstraints(False, None), True),
    (x509.SubjectAlternativeName(names), False),
    (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
]
subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Server of a test")])
with open(f"{authority_file}.server", "wb") as file:
    file.write(certificate(subject, key, authority, extensions) + pem(key))


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with open(served, "rb") as file:
            document = file.read()
        self.send_response(200)
        self.send_header("content-length", str(len(document)))
        self.end_headers()
        self.wfile.write(document)

    def log_message(self, *arguments):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(f"{authority_file}.server")
# The handshake is the thread's of the connection: one that is refused stops no other.
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(json.dumps({"port": server.server_address[1]}), flush=True)
sys.stdin.read()
