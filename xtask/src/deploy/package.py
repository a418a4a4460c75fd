"""Installs, upgrades, removes and purges the Debian package on a copy of this machine: the package, a directory to work in.

dpkg, adduser and our scripts run as they do elsewhere. There is no service manager, and the package must start nothing; what it
has installed is then run as the unit would run it.
"""
import os, pathlib, pwd, re, stat, subprocess, sys
from machine import Machine

package, directory = map(pathlib.Path, sys.argv[1:])
machine = Machine(directory)
DATA, SETTINGS, UNIT = "/var/lib/tenantry", "/etc/tenantry/tenantry.env", "/usr/lib/systemd/system/tenantry.service"
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "DATA_DIR": DATA, "PORT": "0"}


def repacked(version):
    """The same package as another version, with a file that only this one has."""
    folder, result = directory / f"v{version}", directory / f"tenantry_{version}.deb"
    subprocess.run(["dpkg-deb", "--raw-extract", package, folder], check=True)
    control = folder / "DEBIAN/control"
    control.write_text(re.sub(r"(?m)^Version: .*$", f"Version: {version}", control.read_text()))
    (folder / f"usr/share/doc/tenantry/only-{version}").write_text("")
    subprocess.run(["dpkg-deb", "-Zgzip", "-z1", "--root-owner-group", "--build", folder, result], check=True, stdout=subprocess.DEVNULL)
    return result


def into(deb):
    copy = machine.path("/tmp") / deb.name
    copy.write_bytes(deb.read_bytes())
    return f"/tmp/{deb.name}"


def user():
    for line in machine.path("/etc/passwd").read_text().splitlines():
        name, _, uid, gid, *_ = line.split(":")
        if name == "tenantry":
            return int(uid), int(gid)
    return None


def nothing_runs():
    for exe in pathlib.Path("/proc").glob("[0-9]*/exe"):
        try:
            assert "root/usr/bin/tenantry" not in os.readlink(exe), f"the package has started {exe}"
        except OSError:
            pass  # it has ended
    assert not list(machine.path("/etc/systemd/system").rglob("tenantry.service")), "the package has enabled the service"


def serve():
    """Starts what is installed, and ends it when it is ready."""
    uid, gid = user()
    server = machine.start("/usr/bin/tenantry", "serve", user=uid, group=gid, env=ENVIRONMENT)
    try:
        address = server.stdout.readline().split("http://")[1].strip()
        # A name, so that this binary's look-up of names works with the machine's library.
        url = f"http://localhost:{address.rsplit(':', 1)[1]}"
        asked = machine.run("/usr/bin/tenantry", "healthcheck", "--url", url, user=uid, group=gid, env={"PATH": "/usr/bin"})
        assert asked == "ok\n", asked
    finally:
        server.terminate()
        assert server.wait(60) == 0, f"the service ended with {server.returncode}"


def mode(path):
    return stat.S_IMODE(machine.path(path).stat().st_mode)


old, new = into(repacked("0.0.1")), into(package)
version = subprocess.run(["dpkg-deb", "--field", package, "Version"], capture_output=True, text=True, check=True).stdout.strip()

machine.run("dpkg", "--install", old)
nothing_runs()
uid, gid = user()
data = machine.path(DATA).stat()
assert (data.st_uid, data.st_gid, mode(DATA)) == (uid, gid, 0o700), data
settings = machine.path(SETTINGS).stat()
assert (settings.st_uid, settings.st_gid, mode(SETTINGS)) == (0, gid, 0o640), settings
assert machine.path(UNIT).exists()
for file in ("/usr/share/man/man1/tenantry-serve.1.gz", "/usr/share/bash-completion/completions/tenantry",
             "/usr/share/doc/tenantry/tenantry.cdx.json", "/usr/share/doc/tenantry/copyright"):
    assert machine.path(file).exists(), file
print(f"installed 0.0.1: user {uid}, nothing runs")

serve()
key = machine.path(f"{DATA}/operator.key").read_bytes()
text = machine.path(SETTINGS).read_text().replace("#PORT=8000", "PORT=8001")
machine.path(SETTINGS).write_text(text)

said = machine.run("dpkg", "--install", new)
nothing_runs()
assert "--rehearse-upgrade" in said and "systemctl restart tenantry" in said, said
assert machine.path(f"{DATA}/operator.key").read_bytes() == key, "the upgrade has changed the data"
assert machine.path(SETTINGS).read_text() == text, "the upgrade has changed the settings"
assert mode(SETTINGS) == 0o640
assert not machine.path("/usr/share/doc/tenantry/only-0.0.1").exists(), "a file of the old version is left"
assert machine.run("dpkg-query", "--show", "--showformat=${Version}", "tenantry") == version
serve()
print(f"upgraded to {version}: data and settings are kept")

machine.run("dpkg", "--remove", "tenantry")
assert not machine.path("/usr/bin/tenantry").exists() and not machine.path(UNIT).exists()
assert machine.path(SETTINGS).read_text() == text and machine.path(f"{DATA}/operator.key").exists()
print("removed: data and settings are kept")

said = machine.run("dpkg", "--purge", "tenantry")
assert "is kept" in said, said
assert not machine.path(SETTINGS).exists() and machine.path(f"{DATA}/operator.key").read_bytes() == key and user()
print("purged: the data is kept, the settings are gone")

subprocess.run(["rm", "-r", machine.path(DATA)], check=True)
machine.run("dpkg", "--install", new)
machine.run("dpkg", "--purge", "tenantry")
assert not machine.path(DATA).exists() and user() is None
print("purged without data: the user is gone")
