"""Runs what the Dockerfile says, instruction by instruction, on a copy of this machine: the Dockerfile, its context, a directory
to work in.

There is no container engine and no base image here: this machine's Debian takes its place. The commands are those of the file,
as they are, with its environment and its user; the root file system is then read-only, as `docker run --read-only` makes it.
"""
import json, pathlib, re, shutil, subprocess, sys
from machine import Machine, until

dockerfile, context, directory = map(pathlib.Path, sys.argv[1:])
machine = Machine(directory)
lines = [line for line in dockerfile.read_text().splitlines() if not line.startswith("#")]
environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
user = volume = entrypoint = command = healthcheck = None

for line in re.sub(r"\\\n", " ", "\n".join(lines)).splitlines():
    name, _, rest = line.strip().partition(" ")
    rest = rest.strip()
    match name:
        case "" | "FROM" | "EXPOSE":
            continue
        case "RUN":
            machine.run("/bin/sh", "-c", rest, env=environment)
        case "COPY":
            flag, source, target = rest.split()
            shutil.copy(context / source, machine.path(target))
            machine.path(target).chmod(int(flag.removeprefix("--chmod="), 8))
        case "ENV":
            environment |= dict(pair.split("=", 1) for pair in rest.split())
        case "USER":
            user = [int(id) for id in rest.split(":")]
        case "WORKDIR":
            assert rest == "/", "this script knows no other working directory"
        case "VOLUME":
            volume = rest
        case "ENTRYPOINT":
            entrypoint = json.loads(rest)
        case "CMD":
            command = json.loads(rest)
        case "HEALTHCHECK":
            healthcheck = json.loads(rest.split("CMD ", 1)[1])
        case _:
            raise SystemExit(f"this script does not know {name}")
    print(f"{name} {rest[:60]}")

assert user and min(user) > 0, "the image runs as root"
uid, gid = user
# A new volume is filled with what the image has there; the rest is read-only.
fresh = directory / "volume"
subprocess.run(["cp", "-a", machine.path(volume), fresh], check=True)
subprocess.run(["mount", "--bind", fresh, machine.path(volume)], check=True)
subprocess.run(["mount", "-o", "remount,ro", machine.root], check=True)
subprocess.run(["mount", "-o", "remount,ro", machine.path("/tmp")], check=True)
refused = machine.run("/bin/sh", "-c", "touch /usr/probe /tmp/probe; id -u", user=uid, group=gid, env=environment)
assert refused == f"{uid}\n" and not machine.path("/usr/probe").exists() and not machine.path("/tmp/probe").exists()


def healthy():
    return subprocess.run(machine.command(healthcheck, uid, gid), env=environment, capture_output=True).returncode == 0


assert not healthy(), "something listens on the port of the image already"
server = machine.start(*entrypoint, *command, user=uid, group=gid, env=environment)
try:
    until("the health check", healthy)
    inside = sorted(path.name for path in fresh.iterdir())
    assert "control.db" in inside and all(path.stat().st_uid == uid for path in fresh.iterdir()), inside
    print(f"healthy, as user {uid}, read-only but for {volume}")
finally:
    server.terminate()
    assert server.wait(60) == 0, f"the service ended with {server.returncode}"
assert not healthy()
