//! What a process and all of its children cost, read from /proc.

use std::{collections::HashMap, fs, time::Duration};

use rustix::time::{ClockId, clock_gettime};

use crate::result::Memory;

/// A process with its children, their children and so on, as they were when it was looked at.
#[derive(Clone, Debug)]
pub struct Tree {
    root: u32,
    members: Vec<u32>,
}

/// What cannot be read of a process.
#[derive(Debug, thiserror::Error)]
#[error("process {0} is not there, or its /proc entry cannot be read: name a running process of yours, or run as root")]
pub struct NoProcess(u32);

/// The fields of /proc/PID/stat that matter here.
struct Stat {
    parent: u32,
    /// Own ticks and those of children that have ended and been waited for.
    ticks: u64,
}

impl Tree {
    /// The tree under a process.
    pub fn find(root: u32) -> Result<Tree, NoProcess> {
        stat(root).ok_or(NoProcess(root))?;
        memory(root).ok_or(NoProcess(root))?;
        let mut tree = Tree { root, members: Vec::new() };
        tree.look();
        Ok(tree)
    }

    /// The process at its root.
    pub fn root(&self) -> u32 {
        self.root
    }

    /// Looks for members again.
    pub fn look(&mut self) {
        let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            if let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok())
                && let Some(stat) = stat(pid)
            {
                children.entry(stat.parent).or_default().push(pid);
            }
        }
        self.members = vec![self.root];
        let mut at = 0;
        while at < self.members.len() {
            self.members.extend(children.remove(&self.members[at]).unwrap_or_default());
            at += 1;
        }
    }

    /// CPU used so far by all members, in user and system mode. A child that has ended counts with its parent.
    pub fn cpu(&self) -> Duration {
        let ticks: u64 = self.members.iter().filter_map(|&pid| stat(pid)).map(|stat| stat.ticks).sum();
        Duration::from_nanos(ticks * 1_000_000_000 / rustix::param::clock_ticks_per_second())
    }

    /// Memory of all members.
    pub fn memory(&self) -> Memory {
        self.members
            .iter()
            .filter_map(|&pid| memory(pid))
            .fold(Memory::default(), |sum, memory| Memory { rss: sum.rss + memory.rss, pss: sum.pss + memory.pss })
    }

    /// Resident memory of all members in kB, which is cheaper to read than [`Tree::memory`].
    pub fn resident(&self) -> u64 {
        let page = rustix::param::page_size() as u64 / 1024;
        let pages = |pid: &u32| -> Option<u64> {
            fs::read_to_string(format!("/proc/{pid}/statm")).ok()?.split(' ').nth(1)?.parse().ok()
        };
        self.members.iter().filter_map(pages).sum::<u64>() * page
    }
}

fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may contain anything; what follows its last parenthesis does not.
    let fields: Vec<&str> = text[text.rfind(')')? + 2..].split(' ').collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Stat { parent: number(1)? as u32, ticks: number(11)? + number(12)? + number(13)? + number(14)? })
}

fn memory(pid: u32) -> Option<Memory> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let field = |name: &str| -> Option<u64> {
        text.lines().find_map(|line| line.strip_prefix(name))?.trim().split(' ').next()?.parse().ok()
    };
    Some(Memory { rss: field("Rss:")?, pss: field("Pss:")? })
}

/// CPU that this process has used.
pub fn own_cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Name and release of the kernel, name of the processor, number of processors.
pub fn machine() -> crate::result::Machine {
    let system = rustix::system::uname();
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor = processors.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown");
    crate::result::Machine {
        kernel: format!("{} {}", system.sysname().to_string_lossy(), system.release().to_string_lossy()),
        processor: processor.trim_start_matches([' ', '\t', ':']).to_owned(),
        cpus: processors.lines().filter(|line| line.starts_with("processor")).count() as u64,
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_tree_has_its_childrens_cpu_and_memory() {
        // A shell whose child burns CPU and ends, and whose other child waits for its input's end.
        let mut shell = Command::new("sh")
            .args(["-c", "i=0; (while [ $i -lt 200000 ]; do i=$((i+1)); done); echo; cat & exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = [0];
        std::io::Read::read_exact(shell.stdout.as_mut().unwrap(), &mut line).unwrap();
        let mut tree = Tree::find(shell.id()).unwrap();
        while tree.members.len() < 2 {
            tree.look();
        }
        assert!(tree.cpu() >= Duration::from_millis(20), "{:?}", tree.cpu());
        let (memory, resident) = (tree.memory(), tree.resident());
        assert!(
            memory.pss > 0 && memory.pss <= memory.rss && memory.rss <= 2 * resident + 4096,
            "{memory:?} {resident}"
        );
        drop(shell.stdin.take());
        shell.wait().unwrap();
        assert!(Tree::find(shell.id()).is_err());
    }
}
