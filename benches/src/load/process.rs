//! CPU time and memory of the server's process, from `/proc`.

use std::{fs, time::Duration};

/// Clock ticks in a second, in `/proc`: fixed at 100 for every program on Linux.
const TICK: Duration = Duration::from_millis(10);

/// CPU time, in user mode and in the kernel.
#[derive(Clone, Copy)]
pub(super) struct Cpu {
    user: Duration,
    system: Duration,
}

impl Cpu {
    /// The CPU time since an earlier reading, in seconds.
    pub(super) fn since(self, earlier: Self) -> f64 {
        self.system_since(earlier) + self.user.saturating_sub(earlier.user).as_secs_f64()
    }

    /// The CPU time in the kernel since an earlier reading, in seconds.
    pub(super) fn system_since(self, earlier: Self) -> f64 {
        self.system.saturating_sub(earlier.system).as_secs_f64()
    }
}

/// A running process, by its ID.
#[derive(Clone, Copy)]
pub(super) struct Process(pub(super) u32);

impl Process {
    /// The CPU time so far.
    pub(super) fn cpu(self) -> Cpu {
        let stat = self.read("stat");
        // The name in brackets can contain spaces; utime and stime are the 12th and 13th fields after it.
        let (_, fields) = stat.rsplit_once(')').expect("a line of /proc/PID/stat");
        let mut fields =
            fields.split_whitespace().skip(11).map(|field| field.parse::<u32>().unwrap_or_default());
        let mut next = || TICK * fields.next().expect("a field of /proc/PID/stat");
        Cpu { user: next(), system: next() }
    }

    /// The resident memory, in KiB.
    pub(super) fn resident(self) -> u64 {
        let status = self.read("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has memory");
        line.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
    }

    fn read(self, what: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{what}", self.0)).expect("the server runs")
    }
}
