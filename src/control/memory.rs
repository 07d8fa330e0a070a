//! How much memory this process may have: the machine's, or less where a control group says so.

use std::fs;
use std::path::Path;

/// Octets that this process may have at most; 0 if nobody says.
pub(super) fn available() -> u64 {
    let read = |path: &Path| fs::read_to_string(path).ok();
    let total = read(Path::new("/proc/meminfo")).and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        line.trim().trim_end_matches(" kB").parse::<u64>().ok()
    });
    let groups = read(Path::new("/proc/self/cgroup")).unwrap_or_default();
    let group = limit(&groups, |path| read(path)?.trim().parse().ok());
    total.map(|kib| kib * 1024).into_iter().chain(group).min().unwrap_or(0)
}

/// The least limit of the groups that a process is in, whose `/proc/PID/cgroup` this is, and of those around them: a service of
/// systemd has its limit in its own group, a container may see its group as the root of all.
fn limit(groups: &str, octets: impl Fn(&Path) -> Option<u64>) -> Option<u64> {
    let each = groups.lines().flat_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, group) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            list if list.split(',').any(|name| name == "memory") => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            _ => return Vec::new(),
        };
        let around = Path::new(group).ancestors();
        // Joining an absolute path would leave the root.
        around.map(|group| Path::new(root).join(group.strip_prefix("/").unwrap_or(group)).join(file)).collect()
    });
    // A group without a limit says "max", or a number beyond all memory.
    each.filter_map(|path| octets(&path)).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(groups: &str, files: &[(&str, u64)]) -> Option<u64> {
        limit(groups, |path| files.iter().find(|(name, _)| path == Path::new(name)).map(|(_, octets)| *octets))
    }

    #[test]
    fn the_least_limit_around_a_process_counts() {
        let service = "0::/system.slice/chappe.service\n";
        let (own, slice) =
            ("/sys/fs/cgroup/system.slice/chappe.service/memory.max", "/sys/fs/cgroup/system.slice/memory.max");
        assert_eq!(found(service, &[(own, 7)]), Some(7));
        assert_eq!(found(service, &[(own, 7), (slice, 5)]), Some(5));
        assert_eq!(found(service, &[]), None, "no limit");
        // A container sees its own group as the root.
        assert_eq!(found("0::/\n", &[("/sys/fs/cgroup/memory.max", 9)]), Some(9));
    }

    #[test]
    fn the_older_hierarchy_is_known_too() {
        let groups = "9:name=systemd:/\n5:cpu,memory:/docker/0123\n0::/\n";
        let own = "/sys/fs/cgroup/memory/docker/0123/memory.limit_in_bytes";
        assert_eq!(found(groups, &[(own, 3)]), Some(3));
        // The name is the host's, the files are those of the container's root.
        assert_eq!(found(groups, &[("/sys/fs/cgroup/memory/memory.limit_in_bytes", 4)]), Some(4));
        assert_eq!(found("nonsense", &[]), None);
    }
}
