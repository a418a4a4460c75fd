"""A mail server for tests: prints each mail that it takes as a line of JSON, and does what it is told on its input.

Modes, a word on a line of its input: `ok`; `refuse` and `later`, for recipients; `slow`, some seconds before it answers a
mail; `die`, which ends the conversation when a mail has arrived; `closed`, which lets nobody sign in.

Its arguments: the port; the password of the user `mailer`, or nothing; `plain`, `starttls` or `tls`; and for these two a
file with a certificate and its key.
"""

import asyncio
import email
import email.policy
import json
import re
import ssl
import sys
import threading

from aiosmtpd.smtp import SMTP, AuthResult

mode = "ok"


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if mode == "refuse":
            return "550 5.1.1 no such mailbox"
        if mode == "later":
            return "451 4.3.0 not now"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if mode == "die":
            server.transport.abort()
            return "451 gone"
        if mode == "slow":
            print(json.dumps({"begun": True}), flush=True)
            await asyncio.sleep(4)
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        text = message.get_body(("plain",)).get_content()
        html = message.get_body(("html",))
        link = re.search(r"https?://\S+#\S+", text)
        print(
            json.dumps(
                {
                    "from": envelope.mail_from,
                    "to": envelope.rcpt_tos,
                    "subject": message["Subject"],
                    "id": message["Message-ID"],
                    "text": text,
                    "html": html.get_content() if html else None,
                    "link": link.group(0) if link else None,
                    "token": link.group(0).split("#")[1] if link else None,
                }
            ),
            flush=True,
        )
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    good = data.login == b"mailer" and data.password == sys.argv[2].encode()
    # Not handled: the server answers for us.
    return AuthResult(success=good and mode != "closed", handled=False)


def listen_to_orders():
    global mode
    for line in sys.stdin:
        mode = line.strip()
        print(json.dumps({"mode": mode}), flush=True)


async def main():
    port, password, security = sys.argv[1:4]
    context = None
    if security != "plain":
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(sys.argv[4])
    signs_in = password != ""
    make = lambda: SMTP(
        Handler(),
        hostname="mail.test",
        authenticator=authenticate if signs_in else None,
        auth_required=signs_in,
        auth_require_tls=False,
        tls_context=context if security == "starttls" else None,
        require_starttls=security == "starttls",
    )
    loop = asyncio.get_running_loop()
    server = await loop.create_server(make, "127.0.0.1", int(port), ssl=context if security == "tls" else None)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    threading.Thread(target=listen_to_orders, daemon=True).start()
    await server.serve_forever()


asyncio.run(main())
