//! What only root can make: network namespaces, small disks, control groups. Each goes with its value.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Runs a program of [`INSTALLER`]'s and gives its output; anything but success is the test's failure.
fn run(program: &str, arguments: &[&str], input: &str) -> String {
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.unwrap_or_else(|error| panic!("{program}: {error}; {INSTALLER} installs it"));
    child.stdin.take().expect("stdin").write_all(input.as_bytes()).expect("input");
    let output = child.wait_with_output().expect("an end");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {}: {errors} (these tests need root)", arguments.join(" "));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

const INSTALLER: &str = "tests/faults/install.sh";

/// Another host: a network namespace at the other end of a cable.
pub(crate) struct Host {
    pub(crate) name: String,
    /// Its address; ours is the one before it.
    pub(crate) address: String,
    cable: String,
}

impl Host {
    /// `number` is the test's own, 1 to 60.
    pub(crate) fn new(number: u8) -> Host {
        let name = format!("chappe-faults-{number}");
        let (cable, there) = (format!("chappe-f{number}"), format!("chappe-g{number}"));
        // Left over from a run that was killed.
        let _ = Command::new("ip").args(["netns", "del", &name]).output();
        let _ = Command::new("ip").args(["link", "del", &cable]).output();
        let ip = |arguments: &str| run("ip", &arguments.split(' ').collect::<Vec<_>>(), "");
        let (ours, address) = (format!("10.197.84.{}", 4 * number + 1), format!("10.197.84.{}", 4 * number + 2));
        ip(&format!("netns add {name}"));
        let host = Host { name: name.clone(), address: address.clone(), cable: cable.clone() };
        ip(&format!("link add {cable} type veth peer name {there}"));
        ip(&format!("link set {there} netns {name}"));
        ip(&format!("addr add {ours}/30 dev {cable}"));
        ip(&format!("link set {cable} up"));
        ip(&format!("-n {name} addr add {address}/30 dev {there}"));
        ip(&format!("-n {name} link set {there} up"));
        ip(&format!("-n {name} link set lo up"));
        host
    }

    /// Its firewall drops whatever comes and goes, without a word.
    pub(crate) fn drop_everything(&self) {
        let rules = "table inet faults {\n\
                     chain in { type filter hook input priority 0; policy drop; }\n\
                     chain out { type filter hook output priority 0; policy drop; }\n}\n";
        run("ip", &["netns", "exec", &self.name, "nft", "-f", "-"], rules);
    }

    /// It is a good host again.
    pub(crate) fn drop_nothing(&self) {
        run("ip", &["netns", "exec", &self.name, "nft", "delete", "table", "inet", "faults"], "");
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).output();
        let _ = Command::new("ip").args(["link", "del", &self.cable]).output();
    }
}

/// A disk of so many KiB.
pub(crate) struct Disk {
    directory: tempfile::TempDir,
}

impl Disk {
    pub(crate) fn new(kib: u32) -> Disk {
        let directory = tempfile::tempdir().expect("directory");
        let disk = Disk { directory };
        let size = format!("size={kib}k");
        run("mount", &["-t", "tmpfs", "-o", &size, "tmpfs", disk.path().to_str().expect("UTF-8")], "");
        disk
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Puts a file there that takes all that is left.
    pub(crate) fn fill(&self) {
        let mut file = fs::File::create(self.path().join("filler")).expect("file");
        while file.write_all(&[0; 512]).is_ok() {}
    }

    /// Takes it away.
    pub(crate) fn free(&self) {
        fs::remove_file(self.path().join("filler")).expect("the filler");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: the relay may have a file open there.
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).output();
    }
}

/// A control group whose members may have so much memory together.
pub(crate) struct ControlGroup {
    directory: PathBuf,
}

impl ControlGroup {
    /// `name` is the test's own.
    pub(crate) fn new(name: &str, octets: u64) -> ControlGroup {
        // A machine has one of the two hierarchies, or both.
        let (old, new) = (Path::new("/sys/fs/cgroup/memory"), Path::new("/sys/fs/cgroup"));
        let (root, limit) = if old.is_dir() { (old, "memory.limit_in_bytes") } else { (new, "memory.max") };
        let directory = root.join(format!("chappe-faults-{name}"));
        let _ = fs::remove_dir(&directory);
        fs::create_dir(&directory).expect("a control group (these tests need root)");
        let group = ControlGroup { directory };
        fs::write(group.directory.join(limit), octets.to_string()).expect("a limit of memory");
        group
    }

    /// The file that a process writes its id to, to join.
    pub(crate) fn members(&self) -> String {
        self.directory.join("cgroup.procs").to_str().expect("UTF-8").to_owned()
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        // The kernel needs a moment after its last member has gone.
        for _ in 0..100 {
            if fs::remove_dir(&self.directory).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}
