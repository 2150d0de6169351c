//! What Linux says of this process: the memory it has had, and what a piece of work cost. Elsewhere all but the time
//! that passed is 0.

use std::fmt;
use std::time::{Duration, Instant};

/// Linux counts in these, whatever the machine.
const TICK: Duration = Duration::from_millis(10);

/// The most memory that the process has had since [`forget_peak`], in bytes.
pub(crate) fn peak_memory() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok()).unwrap_or_default() * 1024.0
}

/// Counts the peak from here on.
pub(crate) fn forget_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// What the process has used so far, or between two points.
///
/// System time beside page faults tells what a page costs: several times more where a virtual machine has to be given the
/// memory first.
#[derive(Clone, Copy)]
pub(crate) struct Spent {
    at: Instant,
    elapsed: Duration,
    user: Duration,
    system: Duration,
    minor_faults: u64,
    major_faults: u64,
}

impl Spent {
    pub(crate) fn so_far() -> Self {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        // The name before it may hold spaces. proc(5): fields 10, 12, 14 and 15, and the first here is 3.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let number = |field: usize| fields.get(field - 3).and_then(|field| field.parse().ok()).unwrap_or_default();
        let ticks = |field| TICK * u32::try_from(number(field)).unwrap_or(u32::MAX);
        Self {
            at: Instant::now(),
            elapsed: Duration::ZERO,
            user: ticks(14),
            system: ticks(15),
            minor_faults: number(10),
            major_faults: number(12),
        }
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.elapsed
    }

    /// From `self` to now.
    pub(crate) fn since(self) -> Self {
        let now = Self::so_far();
        Self {
            at: now.at,
            elapsed: now.at - self.at,
            user: now.user - self.user,
            system: now.system - self.system,
            minor_faults: now.minor_faults - self.minor_faults,
            major_faults: now.major_faults - self.major_faults,
        }
    }
}

impl fmt::Display for Spent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |time: Duration| time.as_secs_f64();
        let (elapsed, user, system) = (seconds(self.elapsed), seconds(self.user), seconds(self.system));
        write!(formatter, "{elapsed:.2} s ({user:.2} s user, {system:.2} s system, ")?;
        write!(formatter, "{} minor and {} major page faults)", self.minor_faults, self.major_faults)
    }
}
