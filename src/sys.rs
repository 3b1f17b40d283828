//! The only file with `unsafe` code.

use std::{env, ffi::OsString, fs, io};

/// Removes variables from the environment of this process, so that child processes do not inherit them.
///
/// # Errors
/// If `/proc` cannot be read, or the process has more than one thread. Nothing is removed then.
#[expect(unsafe_code, reason = "std::env::remove_var is unsafe: another thread could read the environment")]
pub fn remove_variables(names: &[OsString]) -> io::Result<()> {
    if fs::read_dir("/proc/self/task")?.count() != 1 {
        return Err(io::Error::other("the process already has more than one thread"));
    }
    for name in names {
        // SAFETY: remove_var must not run while another thread reads or writes the environment. There is no other
        // thread: /proc/self/task listed this one only, no other process can add one, and this loop starts none.
        unsafe { env::remove_var(name) };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_variable_is_removed_while_another_thread_runs() {
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let other = std::thread::spawn(move || stopped.recv().is_err());
        assert!(remove_variables(&["PATH".into()]).is_err());
        assert!(env::var_os("PATH").is_some());
        drop(stop);
        assert!(other.join().unwrap());
    }
}
