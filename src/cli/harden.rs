//! What the process does for its own safety before anything else.

/// Makes no core dump and, on Linux, lets no other process of the user look into this one.
pub(crate) fn process() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    // Both are worth trying and neither is worth failing for.
    setrlimit(Resource::Core, none).ok();
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        set_dumpable_behavior(DumpableBehavior::NotDumpable).ok();
    }
}
