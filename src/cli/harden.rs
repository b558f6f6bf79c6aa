//! What the process does for its own safety before anything else.

/// Makes no core dump and, on Linux, lets no other process of the user look into this one.
pub(crate) fn process() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    // Both are worth trying and neither is worth failing for.
    drop(setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    ));
    #[cfg(target_os = "linux")]
    drop(rustix::process::set_dumpable_behavior(
        rustix::process::DumpableBehavior::NotDumpable,
    ));
}
