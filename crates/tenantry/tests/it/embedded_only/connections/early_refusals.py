# Sends bodies of 1 to 5 MiB that are refused before they are read; complains of each refusal that does not arrive.
import http.client
import sys
import requests

base, rounds = sys.argv[1], int(sys.argv[2])
REQUESTS = [
    ("POST", "/v1/organizations", 401, {}),
    ("POST", "/v1/organizations/import", 401, {}),
    ("POST", "/nothing", 404, {}),
    ("PUT", "/livez", 405, {}),
    ("POST", "/org/create", 413, {}),
    ("POST", "/org/create", 415, {"content-encoding": "br"}),
]


def with_http_client(method, path, body, headers):
    connection = http.client.HTTPConnection(base.removeprefix("http://"))
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    response.read()
    # The connection goes on to serve.
    connection.request("GET", "/livez")
    assert connection.getresponse().status == 200
    return response.status


session = requests.Session()


def with_requests(method, path, body, headers):
    status = session.request(method, base + path, data=body, headers=headers).status_code
    assert session.get(base + "/livez").status_code == 200
    return status


def with_requests_in_chunks(method, path, body, headers):
    pieces = (body[at : at + 65536] for at in range(0, len(body), 65536))
    return session.request(method, base + path, data=pieces, headers=headers).status_code


lost = 0
for turn in range(rounds):
    body = b" " * ((1 + turn % 5) << 20)
    for method, path, expected, more in REQUESTS:
        headers = {"content-type": "application/json", **more}
        for send in (with_http_client, with_requests, with_requests_in_chunks):
            try:
                status = send(method, path, body, headers)
                assert status == expected, status
            except Exception as error:
                lost += 1
                print(send.__name__, method, path, len(body), repr(error), file=sys.stderr)
if lost:
    sys.exit(1)
print("all refusals arrived")
