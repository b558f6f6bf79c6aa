//! PgBouncer in transaction mode before the cluster, as large servers have it.

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::{
    cluster::{PASSWORD, Role, ServerUser, new_folder, program, skipped},
    database::Database,
};

/// A running PgBouncer; it ends when dropped, and with this program.
pub(crate) struct Pooler {
    pub(crate) port: u16,
    watchdog: Child,
}

impl Pooler {
    /// Starts one; none where PgBouncer is missing: then the test is skipped.
    pub(crate) fn start(database: &Database) -> Option<Self> {
        let Some(pgbouncer) = find() else {
            skipped(
                "PgBouncer is missing: nothing is read or written through it (Debian: apt install pgbouncer)",
            );
            return None;
        };
        let server = ServerUser::find();
        let folder = new_folder();
        let free = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        for (name, text) in [
            ("pgbouncer.ini", settings(database, &folder, port)),
            ("users.txt", users()),
        ] {
            std::fs::write(folder.join(name), text).unwrap();
        }
        server.own(&folder);
        let script = "\"$1\" \"$2/pgbouncer.ini\" </dev/null & cat >/dev/null; kill $!; wait; cd /; rm -rf \"$2\"";
        let mut command = program(Path::new("/bin"), "sh");
        command
            .args(["-c", script, "sh"])
            .arg(pgbouncer)
            .arg(&folder)
            .current_dir(&folder)
            // Ctrl-C is for the tests.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut watchdog = server.run(&mut command).spawn().unwrap();
        let mut log = BufReader::new(watchdog.stderr.take().unwrap()).lines();
        let mut said = String::new();
        loop {
            let Some(Ok(line)) = log.next() else {
                panic!("PgBouncer did not start: {said}");
            };
            if line.contains("process up") {
                break;
            }
            said += &line;
        }
        // A pipe that nobody reads would stop it.
        std::thread::spawn(move || log.for_each(drop));
        Some(Self { port, watchdog })
    }

    /// `postgres://…` through it, without a password; every role but `Superuser` has `PASSWORD`.
    pub(crate) fn url_as(&self, role: Role, database: &Database) -> String {
        let (role, port, name) = (role.name(), self.port, &database.name);
        format!("postgres://{role}@127.0.0.1:{port}/{name}")
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        drop(self.watchdog.wait());
    }
}

/// One connection to the server for all clients of a role: whatever one leaves behind, the next would meet.
fn settings(database: &Database, folder: &Path, port: u16) -> String {
    let folder = folder.display();
    format!(
        "[databases]\n* = host={} port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
         unix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {folder}/users.txt\npool_mode = transaction\n\
         default_pool_size = 1\nmax_client_conn = 100\nignore_startup_parameters = extra_float_digits\n",
        database.cluster.socket().display(),
        database.cluster.port,
    )
}

fn users() -> String {
    let password = PASSWORD.replace('"', "\"\"");
    let roles = [Role::Mastodon, Role::Backup, Role::Restore];
    roles
        .map(|role| format!("\"{}\" \"{password}\"\n", role.name()))
        .concat()
}

fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
        .map(|folder| folder.join("pgbouncer"))
        .find(|program| {
            Command::new(program)
                .arg("--version")
                .output()
                .is_ok_and(|output| output.status.success())
        })
}
