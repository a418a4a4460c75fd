"""Starts the processes of a compose file on this machine, as its commands and environments say, and uses the service.

Arguments: the compose file, a folder with the programs `tenantry`, `mongod` and `caddy`, and a directory to work in. Run it
in a network and a mount namespace of its own (`unshare --net --mount`): each service of the file gets an address of the
loopback network and its name in /etc/hosts.

What is not as in containers: `--bind_ip_all`, HOST and the proxy's `:8080` become the address of their service, since all of
them share one network; data is below the directory; and the replica set is made by the driver of Python, with the members
that the command for `mongosh` names.
"""
import json, os, pathlib, re, secrets, subprocess, sys, time, urllib.error, urllib.request
import pymongo, yaml

ROOT = pathlib.Path(__file__).resolve().parents[3]
PATIENCE = 120  # seconds, on a busy machine
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def image():
    """The environment, entry point, command and health check of our own image."""
    text = re.sub(r"\\\n", " ", (ROOT / "deploy/docker/Dockerfile").read_text())
    instruction = lambda name: re.search(rf"^{name} (.*)$", text, re.MULTILINE).group(1)
    health = re.search(r"^HEALTHCHECK .*CMD (\[.*\])$", text, re.MULTILINE).group(1)
    return {
        "environment": dict(pair.split("=", 1) for pair in instruction("ENV").split()),
        "entrypoint": json.loads(instruction("ENTRYPOINT")),
        "command": json.loads(instruction("CMD")),
        "healthcheck": json.loads(health),
    }


class Services:
    def __init__(self, file, programs, directory):
        self.file = pathlib.Path(file)
        self.services = yaml.safe_load(self.file.read_text())["services"]
        self.secrets = yaml.safe_load(self.file.read_text()).get("secrets", {})
        self.programs, self.directory = pathlib.Path(programs), pathlib.Path(directory)
        self.addresses = {name: f"127.0.9.{number}" for number, name in enumerate(self.services, 1)}
        self.processes = {}
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        hosts = self.directory / "hosts"
        lines = ["127.0.0.1 localhost", *(f"{address} {name}" for name, address in self.addresses.items())]
        hosts.write_text("\n".join(lines) + "\n")
        subprocess.run(["mount", "--bind", hosts, "/etc/hosts"], check=True)

    def environment(self, name):
        """What the image and the file give the service, with its secrets in files of its own."""
        environment = dict(image()["environment"], **self.services[name].get("environment", {}))
        environment["HOST"] = self.addresses[name]
        environment["DATA_DIR"] = str(self.directory / name)
        for setting, value in environment.items():
            if setting.endswith("_FILE"):
                folder, secret = value.rsplit("/", 1)
                assert folder == "/run/secrets" and secret in self.services[name]["secrets"], setting
                assert secret in self.secrets, secret
                environment[setting] = str(self.directory / "secrets" / secret)
        # The loopback network is that of the file here.
        environment["TRUSTED_PROXIES"] = "127.0.0.0/8"
        return environment

    def start(self, name):
        service = self.services[name]
        folder = self.directory / name
        folder.mkdir(exist_ok=True)
        program = service["image"].split(":")[0]
        environment = {}
        if program == "tenantry":
            words = image()["entrypoint"] + service.get("command", image()["command"])
            environment = self.environment(name)
        elif program == "mongo":
            words = [f"--bind_ip={self.addresses[name]}" if word == "--bind_ip_all" else word
                     for word in service["command"]]
            words += ["--dbpath", str(folder), "--wiredTigerCacheSizeGB=0.25"]
        else:
            words = [word.replace(":8080", f"http://{self.addresses[name]}:8080") if word == ":8080" else word
                     for word in service["command"]]
            if "--config" in words:
                config = next(volume.split(":") for volume in service.get("volumes", []) if "Caddyfile" in volume)
                text = (self.file.parent / config[0]).read_text()
                assert words[words.index("--config") + 1] == config[1]
                copy = folder / "Caddyfile"
                copy.write_text(text.replace("\n:8080", f"\nhttp://{self.addresses[name]}:8080"))
                words[words.index("--config") + 1] = str(copy)
                words += ["--adapter", "caddyfile"]
        words[0] = str(self.programs / words[0])
        environment |= {"HOME": str(folder)}
        log = open(self.directory / f"{name}.log", "ab")
        self.processes[name] = subprocess.Popen(words, env=environment, cwd="/", stdout=log, stderr=log)

    def healthy(self, name):
        """Whether the health check of the image, run as it is, finds the service well."""
        words = image()["healthcheck"]
        words[0] = str(self.programs / words[0])
        return subprocess.run(words, env=self.environment(name), cwd="/", capture_output=True).returncode == 0

    def kill(self, name):
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def stop(self):
        """Ends the services as Docker does, each of which must end well."""
        for name, process in reversed(self.processes.items()):
            process.terminate()
            assert process.wait(PATIENCE) == 0, f"{name} ended with {process.returncode}"

    def logs(self):
        for name in self.services:
            log = self.directory / f"{name}.log"
            if log.exists():
                print(f"-- {name}\n{log.read_text()[-3000:]}")


def until(what, check):
    deadline = time.monotonic() + PATIENCE
    while not check():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.1)


def initiate(services):
    """The members of the command for mongosh, as the replica set of the flags."""
    script = services.services["initiate"]["command"][-1]
    members = re.findall(r'_id: (\d+), host: "([^"]+)"', script)
    [name] = set(re.findall(r'_id: "(\w+)", members', script))
    assert len(members) == 3, members
    host = services.services["initiate"]["command"][3]
    config = {"_id": name, "members": [{"_id": int(number), "host": host} for number, host in members]}
    with pymongo.MongoClient(f"mongodb://{host}", directConnection=True, serverSelectionTimeoutMS=PATIENCE * 1000) as client:
        client.admin.command("replSetInitiate", config)
        until("a primary", lambda: client.admin.command("hello").get("primary"))
    return ",".join(host for _, host in members), name


def call(base, method, path, body=None, key=None):
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    request = urllib.request.Request(base + path, None if body is None else json.dumps(body).encode(), headers, method=method)
    with opener.open(request, timeout=30) as answer:
        return json.load(answer)


def answers(base, path):
    try:
        with opener.open(base + path, timeout=10) as answer:
            return answer.status == 200
    except (OSError, urllib.error.HTTPError):
        return False


def use(base, key):
    """Creates an organization through the proxy, and signs its owner in."""
    owner = {"email": "owner@acme.example", "password": "correct horse battery"}
    call(base, "POST", "/org/create", {"organization_name": "Acme", **owner}, key)
    token = call(base, "POST", "/admin/login", owner)["access_token"]
    return lambda: call(base, "GET", "/v1/me", key=token)


def run(services):
    instances = [name for name, service in services.services.items() if service["image"].startswith("tenantry:")]
    secret_files = services.directory / "secrets"
    secret_files.mkdir()
    if "initiate" in services.services:
        for name in [name for name in services.services if name.startswith("mongo-")]:
            services.start(name)
        hosts, name = initiate(services)
        (secret_files / "mongo-uri").write_text(f"mongodb://{hosts}/?replicaSet={name}\n")
        (secret_files / "jwt-secret").write_text(secrets.token_urlsafe(32) + "\n")
        key = subprocess.run([services.programs / "tenantry", "operator-key", "generate"], capture_output=True, check=True)
        (secret_files / "operator-key").write_bytes(key.stdout)
    for name in instances:
        services.start(name)
    for name in instances:
        until(f"{name} is healthy", lambda: services.healthy(name))
    services.start("proxy")
    base = f"http://{services.addresses['proxy']}:8080"
    until("the proxy passes requests on", lambda: answers(base, "/readyz"))
    generated = services.directory / instances[0] / "operator.key"
    key_file = secret_files / "operator-key"
    key = (key_file if key_file.exists() else generated).read_text().strip()
    me = use(base, key)
    me()
    if len(instances) > 1:
        # Whatever happens to one instance, nobody notices but the proxy.
        services.kill(instances[0])
        assert not services.healthy(instances[0])
        for _ in range(20):
            me()
        services.start(instances[0])
        until("the first instance is back", lambda: services.healthy(instances[0]))
        services.kill(instances[1])
        for _ in range(20):
            me()
    services.stop()


services = Services(*sys.argv[1:])
try:
    run(services)
    print(f"{services.file.name}: {', '.join(services.services)}")
except BaseException:
    services.logs()
    raise
finally:
    for process in services.processes.values():
        process.kill()
        process.wait()
