//! The server's process, as the kernel shows it.

use std::{fs, time::Duration};

/// Clock ticks in a second, in `/proc`: fixed at 100 for every program on Linux.
const TICK: Duration = Duration::from_millis(10);

/// CPU time, in the program and in the kernel for it.
#[derive(Clone, Copy)]
pub(super) struct Cpu {
    user: Duration,
    system: Duration,
}

impl Cpu {
    /// All of it since an earlier reading, in seconds.
    pub(super) fn since(self, earlier: Self) -> f64 {
        self.system_since(earlier) + self.user.saturating_sub(earlier.user).as_secs_f64()
    }

    /// The kernel's part of it.
    pub(super) fn system_since(self, earlier: Self) -> f64 {
        self.system.saturating_sub(earlier.system).as_secs_f64()
    }
}

/// A process that runs.
#[derive(Clone, Copy)]
pub(super) struct Process(pub(super) u32);

impl Process {
    /// The CPU time that it has had so far.
    pub(super) fn cpu(self) -> Cpu {
        let stat = self.read("stat");
        // The name in brackets may have spaces; utime and stime are the 12th and 13th fields behind it.
        let (_, fields) = stat.rsplit_once(')').expect("a line of /proc/PID/stat");
        let mut fields =
            fields.split_whitespace().skip(11).map(|field| field.parse::<u32>().unwrap_or_default());
        let mut next = || TICK * fields.next().expect("a field of /proc/PID/stat");
        Cpu { user: next(), system: next() }
    }

    /// The memory that it has in use, in KiB.
    pub(super) fn resident(self) -> u64 {
        let status = self.read("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has memory");
        line.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
    }

    fn read(self, what: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{what}", self.0)).expect("the server runs")
    }
}
