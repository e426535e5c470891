//! Remembers the process that threads were started in.
//!
//! Threads do not survive a fork: in the child every call would hang in silence. So whatever owns
//! threads keeps its process id and refuses to be used under another, by name.

use promosvc_engine::error::{Error, ErrorKind, Result};

/// The process that owns the threads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner {
    pid: u32,
}

impl Owner {
    /// The present process.
    pub(crate) fn this_process() -> Self {
        Self {
            pid: std::process::id(),
        }
    }

    /// Whether this is still the same process.
    pub(crate) fn is_here(self) -> bool {
        self.pid == std::process::id()
    }

    /// Refuses use in a forked child (`FORKED`).
    pub(crate) fn check(self) -> Result<()> {
        if self.is_here() {
            return Ok(());
        }
        let here = std::process::id();
        Err(Error::new(
            ErrorKind::FailedPrecondition,
            "FORKED",
            format!(
                "this server or door was started in process {} and is used in its forked child {here}; \
                 start one after the fork",
                self.pid
            ),
        )
        .with("started_in", self.pid)
        .with("used_in", here))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_process_is_refused_by_name() {
        let here = Owner::this_process();
        here.check().expect("the same process");
        let parent = Owner {
            pid: here.pid.wrapping_add(1),
        };
        assert!(!parent.is_here());
        let error = parent.check().unwrap_err();
        assert_eq!(
            (error.kind, error.reason),
            (ErrorKind::FailedPrecondition, "FORKED")
        );
        assert!(error.message.contains(&here.pid.to_string()), "{error}");
    }
}
