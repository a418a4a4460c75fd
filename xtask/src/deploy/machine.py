"""A copy of this machine in which a script may install, remove and mount what it likes: an overlay that is gone with the mount
namespace of the script (`unshare --mount`)."""
import pathlib, subprocess, time

PATIENCE = 120  # seconds, on a busy machine


class Machine:
    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", self.directory], check=True)
        upper, work, self.root = (self.directory / name for name in ("upper", "work", "root"))
        for folder in (upper, work, self.root):
            folder.mkdir()
        options = f"lowerdir=/,upperdir={upper},workdir={work}"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, self.root], check=True)
        for kind, place in (("proc", "proc"), ("tmpfs", "run"), ("tmpfs", "tmp")):
            subprocess.run(["mount", "-t", kind, kind, self.root / place], check=True)
        subprocess.run(["mount", "--rbind", "/dev", self.root / "dev"], check=True)

    def path(self, path):
        return self.root / path.lstrip("/")

    def command(self, words, user=None, group=None):
        enter = ["/usr/sbin/chroot", self.root]
        if user is not None:
            enter += ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", "--no-new-privs"]
        return [*enter, *words]

    def run(self, *words, user=None, group=None, env=None, code=0):
        """What a command prints, which ends with `code`."""
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"} if env is None else env
        ended = subprocess.run(self.command(words, user, group), env=env, capture_output=True, text=True)
        assert ended.returncode == code, f"{words} ended with {ended.returncode}:\n{ended.stdout}{ended.stderr}"
        return ended.stdout

    def start(self, *words, user, group, env):
        return subprocess.Popen(self.command(words, user, group), env=env, stdout=subprocess.PIPE, text=True)


def until(what, check):
    deadline = time.monotonic() + PATIENCE
    while not check():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.1)
