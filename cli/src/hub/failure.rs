//! Why a request came to nothing, and whether to ask again.

use std::thread;
use std::time::Duration;

use anyhow::Error;

/// Attempts that may fail in a row.
const ATTEMPTS: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

pub(super) struct Failure {
    error: Error,
    kind: Kind,
}

#[derive(PartialEq, Eq)]
enum Kind {
    /// May go well another time, perhaps after a while that the server names.
    Passing(Option<Duration>),
    /// There is no such thing.
    Absent,
    Fatal,
}

impl Failure {
    pub(super) fn passing(error: Error, after: Option<Duration>) -> Self {
        Self { error, kind: Kind::Passing(after) }
    }

    pub(super) fn absent(error: Error) -> Self {
        Self { error, kind: Kind::Absent }
    }

    pub(super) fn fatal(error: impl Into<Error>) -> Self {
        Self { error: error.into(), kind: Kind::Fatal }
    }

    /// The same failure, of the thing that it is about.
    pub(super) fn context(self, of: &str) -> Self {
        Self { error: self.error.context(of.to_owned()), kind: self.kind }
    }

    pub(super) fn is_absent(&self) -> bool {
        self.kind == Kind::Absent
    }

    pub(super) fn into_error(self) -> Error {
        self.error
    }
}

/// How often something has failed in a row.
#[derive(Default)]
pub(super) struct Patience(u32);

impl Patience {
    /// Waits before another attempt, twice as long each time; the failure itself if there shall be none.
    pub(super) fn wait(&mut self, failure: Failure) -> Result<(), Failure> {
        let Kind::Passing(after) = failure.kind else { return Err(failure) };
        self.0 += 1;
        if self.0 >= ATTEMPTS {
            return Err(Failure::fatal(failure.error.context(format!("given up after {ATTEMPTS} attempts"))));
        }
        thread::sleep(after.unwrap_or(FIRST_WAIT * 2u32.pow(self.0 - 1)).min(LONGEST_WAIT));
        Ok(())
    }

    /// Forgets the failures: there was progress.
    pub(super) fn renew(&mut self) {
        self.0 = 0;
    }
}

/// Makes attempts until one succeeds or patience ends.
pub(super) fn patiently<T>(mut attempt: impl FnMut() -> Result<T, Failure>) -> Result<T, Failure> {
    let mut patience = Patience::default();
    loop {
        match attempt() {
            Ok(done) => return Ok(done),
            Err(failure) => patience.wait(failure)?,
        }
    }
}
