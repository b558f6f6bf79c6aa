//! A PostgreSQL cluster that belongs to one test program: a unix socket and loopback TCP with TLS, in a temporary
//! folder. It never runs as root, and it ends with the program, however that ends.

use std::{
    fs,
    io::Write,
    net::TcpListener,
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use crate::certificates::{Certificates, Validity};

/// Every role's password but the superuser's: it needs quoting wherever it may stand.
pub(crate) const PASSWORD: &str = r#"it's #1 "$x" \o/"#;

/// Who logs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// May do everything; on the socket only, without a password.
    Superuser,
    /// Owns the databases, as on a real server; with a password.
    Mastodon,
    /// May what docs/server.md grants for backups, after `Database::grant`; without a password on the socket.
    Backup,
    /// May what docs/server.md grants for restores, after `Database::grant`; without a password on the socket.
    Restore,
    /// As `Mastodon`, on the socket without a password, for whoever runs the tests and for `nobody`.
    Peer,
    /// As `Mastodon`, over TCP with TLS alone.
    TlsOnly,
}

impl Role {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Superuser => "postgres",
            Self::Mastodon => "mastodon",
            Self::Backup => "tuskvault_backup",
            Self::Restore => "tuskvault_restore",
            Self::Peer => "peer",
            Self::TlsOnly => "tls_only",
        }
    }
}

/// A running cluster; stopped and removed when dropped.
pub(crate) struct Cluster {
    binaries: PathBuf,
    folder: PathBuf,
    pub(crate) port: u16,
    watchdog: Child,
}

/// This program's cluster; none where PostgreSQL is missing.
pub(crate) fn cluster() -> Option<&'static Cluster> {
    static CLUSTER: OnceLock<Option<Cluster>> = OnceLock::new();
    CLUSTER
        .get_or_init(|| Cluster::start(Validity::Valid))
        .as_ref()
}

impl Cluster {
    /// Starts one more, for a test that breaks it or wants another certificate; none where PostgreSQL is missing.
    pub(crate) fn start(validity: Validity) -> Option<Self> {
        let Some(binaries) = binaries() else {
            let why = "PostgreSQL is missing (initdb, pg_ctl, postgres, psql; Debian: apt install postgresql; or set PG_BIN)";
            let required = std::env::var("TUSKVAULT_REQUIRE_POSTGRES").is_ok_and(|it| it == "1");
            assert!(!required, "{why}");
            skipped(why);
            return None;
        };
        let folder = new_folder();
        let server = ServerUser::find();
        server.own(&folder);
        let watchdog = watch(&server, &binaries, &folder);
        let mut cluster = Self {
            binaries,
            folder,
            port: 0,
            watchdog,
        };
        cluster.make(&server, &Certificates::new(validity));
        cluster.serve(&server);
        cluster.make_roles();
        Some(cluster)
    }

    /// The folder of the unix socket.
    pub(crate) fn socket(&self) -> &Path {
        &self.folder
    }

    /// The certificate authority that signed the server's certificate.
    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.join("authority.pem")
    }

    /// One that did not.
    pub(crate) fn other_authority(&self) -> PathBuf {
        self.folder.join("other.pem")
    }

    /// A program of PostgreSQL's.
    pub(crate) fn program(&self, name: &str) -> Command {
        program(&self.binaries, name)
    }

    /// A connection on the socket.
    pub(crate) fn client(&self, role: Role, database: &str) -> postgres::Client {
        let mut config = postgres::Config::new();
        config
            .host_path(self.socket())
            .port(self.port)
            .user(role.name())
            .password(PASSWORD)
            .dbname(database);
        config.connect(postgres::NoTls).unwrap()
    }

    /// Runs files through psql, as the owner of the databases.
    pub(crate) fn psql(&self, database: &str, arguments: &[&str]) {
        let mut psql = self.program("psql");
        psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", database])
            .arg("-h")
            .arg(self.socket())
            .args(["-p", &self.port.to_string(), "-U", "postgres"])
            .args(arguments)
            .env("PGOPTIONS", "-c role=mastodon");
        finish(&mut psql);
    }

    /// Ends the server at once, as a crash does.
    pub(crate) fn crash(&self) {
        let mut stop = self.program("pg_ctl");
        stop.arg("-D").arg(self.data());
        stop.args(["-s", "-m", "immediate", "stop"]);
        ServerUser::find().run(&mut stop);
        finish(&mut stop);
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn make(&self, server: &ServerUser, certificates: &Certificates) {
        let mut initdb = self.program("initdb");
        initdb.arg("-D").arg(self.data()).args([
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-locale",
            "--no-sync",
        ]);
        finish(server.run(&mut initdb));
        for (name, text) in [
            ("authority.pem", &*certificates.authority),
            ("other.pem", &certificates.other_authority),
            ("data/server.crt", &certificates.server),
            ("data/server.key", &certificates.server_key),
            ("data/pg_hba.conf", HBA),
            ("data/pg_ident.conf", &server.map_of_names()),
        ] {
            let path = self.folder.join(name);
            fs::write(&path, text).unwrap();
            if name.starts_with("data/") {
                fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
                server.own(&path);
            }
        }
    }

    /// Starts the server on a free port. Somebody may take the port before the server does: then on another one.
    fn serve(&mut self, server: &ServerUser) {
        let log = self.folder.join("data/log");
        for _ in 0..5 {
            let free = TcpListener::bind(("127.0.0.1", 0)).unwrap();
            self.port = free.local_addr().unwrap().port();
            drop(free);
            let socket = self.socket().display();
            let own = format!(
                "{CONFIG}port = {}\nunix_socket_directories = '{socket}'\n",
                self.port
            );
            let path = self.data().join("postgresql.auto.conf");
            fs::write(&path, own).unwrap();
            server.own(&path);
            let mut start = self.program("pg_ctl");
            start.arg("-D").arg(self.data()).arg("-l").arg(&log);
            start.args(["-w", "-s", "start"]);
            // pg_ctl leaves the server its own standard output and error: a pipe would never end.
            start.stdout(Stdio::null()).stderr(Stdio::null());
            if server.run(&mut start).status().unwrap().success() {
                return;
            }
        }
        panic!(
            "PostgreSQL did not start: {}",
            fs::read_to_string(log).unwrap_or_default()
        );
    }

    fn make_roles(&self) {
        let password = PASSWORD.replace('\'', "''");
        let mut client = self.client(Role::Superuser, "postgres");
        let mut create = |role: Role, more: &str| {
            let name = role.name();
            client
                .batch_execute(&format!(
                    "CREATE ROLE {name} LOGIN PASSWORD '{password}' {more}"
                ))
                .unwrap();
        };
        create(Role::Mastodon, "CREATEDB");
        create(Role::Peer, "IN ROLE mastodon");
        create(Role::TlsOnly, "IN ROLE mastodon");
        create(Role::Backup, "");
        create(Role::Restore, "");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        drop(self.watchdog.wait());
    }
}

/// Says on the real standard error, once for each reason, that tests are skipped.
pub(crate) fn skipped(why: &str) {
    use std::{collections::BTreeSet, sync::Mutex};
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    if SAID.lock().unwrap().insert(why.to_owned()) {
        let line = format!("skipped: {why}\n");
        drop(std::io::stderr().write_all(line.as_bytes()));
    }
}

/// What a command printed; it must succeed.
pub(crate) fn finish(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{command:?}\n{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}

/// Whom the server runs as: PostgreSQL refuses root.
pub(crate) struct ServerUser {
    other: Option<(u32, u32)>,
}

impl ServerUser {
    pub(crate) fn find() -> Self {
        if !rustix::process::geteuid().is_root() {
            return Self { other: None };
        }
        let users = fs::read_to_string("/etc/passwd").unwrap();
        let ids = |name: &str| {
            let line = users
                .lines()
                .find(|line| line.split(':').next() == Some(name))?;
            let fields: Vec<&str> = line.split(':').collect();
            Some((fields[2].parse().unwrap(), fields[3].parse().unwrap()))
        };
        let other = ids("postgres").or_else(|| ids("nobody"));
        Self {
            other: Some(other.expect("a user that is not root")),
        }
    }

    pub(crate) fn own(&self, path: &Path) {
        if let Some((user, group)) = self.other {
            chown(path, Some(user), Some(group)).unwrap();
        }
    }

    pub(crate) fn run<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        if let Some((user, group)) = self.other {
            command.uid(user).gid(group);
        }
        command
    }

    /// pg_ident.conf: who may log in as the role `peer`.
    fn map_of_names(&self) -> String {
        let me = finish(Command::new("id").arg("-un"));
        format!("tests {} peer\ntests nobody peer\n", me.trim())
    }
}

/// A folder that everyone may enter, whose path leaves room for the name of a socket (107 bytes in all).
pub(crate) fn new_folder() -> PathBuf {
    let mut place = std::env::temp_dir();
    if place.as_os_str().len() > 60 {
        place = "/tmp".into();
    }
    let folder = tempfile::Builder::new()
        .prefix("tuskvault-pg-")
        .tempdir_in(place)
        .unwrap()
        .keep();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// A process that waits for the end of this one, however it comes, then stops the server and removes the folder.
fn watch(server: &ServerUser, binaries: &Path, folder: &Path) -> Child {
    let script =
        "cat >/dev/null; \"$1\" -D \"$2/data\" -m immediate -w -s stop; cd /; rm -rf \"$2\"";
    let mut watchdog = program(Path::new("/bin"), "sh");
    watchdog
        .args(["-c", script, "sh"])
        .arg(binaries.join("pg_ctl"))
        .arg(folder)
        .current_dir(folder)
        // Ctrl-C is for the tests.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    server.run(&mut watchdog).spawn().unwrap()
}

/// A program, with nothing of the outer environment.
pub(crate) fn program(folder: &Path, name: &str) -> Command {
    let mut command = Command::new(folder.join(name));
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "UTC")
        .stdin(Stdio::null());
    command
}

/// Where PostgreSQL's programs are.
fn binaries() -> Option<PathBuf> {
    let mut places: Vec<PathBuf> = Vec::new();
    places.extend(std::env::var_os("PG_BIN").map(PathBuf::from));
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        places.push(String::from_utf8_lossy(&output.stdout).trim().into());
    }
    if let Ok(entries) = fs::read_dir("/usr/lib/postgresql") {
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut versions: Vec<u32> = names.filter_map(|name| name.parse().ok()).collect();
        versions.sort_unstable();
        let folder = |version: &u32| format!("/usr/lib/postgresql/{version}/bin").into();
        places.extend(versions.iter().rev().map(folder));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    places.extend(std::env::split_paths(&path));
    let programs = ["initdb", "pg_ctl", "postgres", "psql"];
    places
        .into_iter()
        .find(|place| programs.iter().all(|name| place.join(name).is_file()))
}

/// Who may come in, and how; the first line that fits decides.
const HBA: &str = "\
local   all postgres                            trust
local   all tuskvault_backup,tuskvault_restore  trust
local   all peer                                peer map=tests
local   all all                                 scram-sha-256
hostssl all tls_only     127.0.0.0/8            scram-sha-256
host    all tls_only     127.0.0.0/8            reject
host    all postgres     127.0.0.0/8            reject
host    all all          127.0.0.0/8            scram-sha-256
";

/// Fast, since nothing of it must outlive the tests; no vacuum that comes by itself, so that row versions are told.
const CONFIG: &str = "\
listen_addresses = '127.0.0.1,127.0.0.2'
ssl = on
ssl_cert_file = 'server.crt'
ssl_key_file = 'server.key'
password_encryption = 'scram-sha-256'
max_connections = 200
shared_buffers = '32MB'
fsync = off
full_page_writes = off
synchronous_commit = off
wal_level = minimal
max_wal_senders = 0
autovacuum = off
timezone = 'Europe/Berlin'
log_timezone = 'UTC'
";
