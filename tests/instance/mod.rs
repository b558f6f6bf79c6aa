//! An HTTPS server on loopback that stands for any number of instances, for tests that ask them.
//!
//! One listener speaks TLS (certificates for whatever name is asked for, by an authority made at the start), HTTP CONNECT
//! (so that names need no DNS: give the program its address as `HTTPS_PROXY`), and plain HTTP (to prove that nothing
//! secret arrives there). It knows nothing of tuskvault's types, so that the real program can be tested with it.

#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test helper outside of a #[test] function"
)]

mod certificates;
mod message;

use std::{
    collections::HashMap,
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

pub(crate) use certificates::Certificate;
use certificates::Certificates;
pub(crate) use message::{Manner, Reply, Request, Way};

/// What a server does.
pub(crate) struct Behaviour {
    /// The answer to a request.
    pub(crate) reply: Box<dyn Fn(&Request) -> Reply + Send + Sync>,
    /// The certificate shown for a name; for the empty one where a client names none, as for addresses.
    pub(crate) certificate: fn(&str) -> Certificate,
    /// Hosts that CONNECT is refused to, with 502.
    pub(crate) refused: Vec<String>,
    /// Whether every host says at `/api/v2/instance` that it is the instance of its name, where `reply` doesn't know that
    /// path (404 in JSON). By its address it is `m.example`.
    pub(crate) is_instance: bool,
}

impl Behaviour {
    pub(crate) fn new(reply: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self {
            reply: Box::new(reply),
            certificate: |_| Certificate::Valid,
            refused: Vec::new(),
            is_instance: true,
        }
    }

    fn answer(&self, request: &Request) -> Reply {
        let reply = (self.reply)(request);
        let mut headers = reply.headers.iter();
        let is_json = headers.any(|(_, value)| value.starts_with("application/json"));
        let is_unknown = reply.status == 404 && is_json;
        if self.is_instance && is_unknown && request.path() == "/api/v2/instance" {
            let domain = match request.host.parse::<SocketAddr>() {
                Ok(_) => "m.example",
                Err(_) => &request.host,
            };
            return Reply::json(200, &format!(r#"{{"domain":"{domain}"}}"#));
        }
        reply
    }
}

/// A running server; it ends when it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    folder: tempfile::TempDir,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    behaviour: Behaviour,
    config: Arc<ServerConfig>,
    seen: Mutex<Vec<Request>>,
    /// Requests that are being answered, and the most that ever were at once, per host.
    in_flight: Mutex<HashMap<String, (usize, usize)>>,
    is_over: AtomicBool,
}

impl Server {
    pub(crate) fn start(behaviour: Behaviour) -> Self {
        Self::start_on(Ipv4Addr::LOCALHOST.into(), behaviour).unwrap()
    }

    /// A server at another address of loopback; an error where the machine has none.
    pub(crate) fn start_on(address: IpAddr, behaviour: Behaviour) -> io::Result<Self> {
        let listener = TcpListener::bind((address, 0))?;
        let address = listener.local_addr()?;
        let folder = tempfile::tempdir()?;
        let certificates = Certificates::new(behaviour.certificate);
        std::fs::write(folder.path().join("ca.pem"), certificates.authority())?;
        let shared = Arc::new(Shared {
            behaviour,
            config: certificates.into_config(),
            seen: Mutex::default(),
            in_flight: Mutex::default(),
            is_over: AtomicBool::new(false),
        });
        let own = Arc::clone(&shared);
        let thread = thread::spawn(move || own.accept(&listener));
        Ok(Self {
            address,
            folder,
            shared,
            thread: Some(thread),
        })
    }

    /// Its address, as an authority: `127.0.0.1:4711`.
    pub(crate) fn authority(&self) -> String {
        self.address.to_string()
    }

    /// Its address as a proxy's.
    pub(crate) fn proxy_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The authority that signs its certificates, in PEM form.
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Every request up to now, in the order of arrival; those of CONNECT too.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// `host path` of every request with a token.
    pub(crate) fn with_token(&self) -> Vec<String> {
        let requests = self.requests().into_iter();
        requests
            .filter(|request| request.raw.to_ascii_lowercase().contains("bearer"))
            .map(|request| format!("{} {}", request.host, request.path()))
            .collect()
    }

    /// Whether a text is in anything that arrived for a host (any, where it is empty).
    pub(crate) fn has_arrived(&self, text: &str, host: &str) -> bool {
        let mut requests = self.requests().into_iter();
        requests.any(|r| r.raw.contains(text) && (host.is_empty() || r.host == host))
    }

    /// The most requests for a host that were being answered at once.
    pub(crate) fn most_in_flight(&self, host: &str) -> usize {
        let in_flight = self.shared.in_flight.lock().unwrap();
        in_flight.get(host).map_or(0, |(_, most)| *most)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        // Wakes the one who accepts.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

trait Stream: Read + Write + Send {
    /// Closes it in due form.
    fn close(&mut self);
    fn socket(&self) -> &TcpStream;
}

impl Stream for TcpStream {
    fn close(&mut self) {
        drop(self.shutdown(Shutdown::Both));
    }

    fn socket(&self) -> &TcpStream {
        self
    }
}

impl Stream for StreamOwned<ServerConnection, TcpStream> {
    fn close(&mut self) {
        self.conn.send_close_notify();
        drop(self.flush());
        drop(self.sock.shutdown(Shutdown::Both));
    }

    fn socket(&self) -> &TcpStream {
        &self.sock
    }
}

impl Shared {
    fn accept(self: Arc<Self>, listener: &TcpListener) {
        for stream in listener.incoming() {
            if self.is_over.load(Ordering::SeqCst) {
                return;
            }
            if let Ok(stream) = stream {
                let own = Arc::clone(&self);
                thread::spawn(move || drop(own.serve(stream)));
            }
        }
    }

    fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        stream.set_write_timeout(Some(Duration::from_secs(20)))?;
        let mut first = [0; 1];
        if stream.peek(&mut first)? == 0 {
            return Ok(());
        }
        match first[0] {
            HANDSHAKE => self.serve_tls(stream, Way::Direct),
            b'C' => {
                let Some(request) = read_request(&mut stream, Way::Connect)? else {
                    return Ok(());
                };
                let host = request.target.trim_end_matches(":443").to_owned();
                self.seen.lock().unwrap().push(request);
                if self.behaviour.refused.contains(&host) {
                    return stream
                        .write_all(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n");
                }
                stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
                self.serve_tls(stream, Way::Tunnel)
            }
            _ => self.answer_all(&mut stream, Way::Plain),
        }
    }

    fn serve_tls(&self, stream: TcpStream, way: Way) -> io::Result<()> {
        let connection = ServerConnection::new(Arc::clone(&self.config)).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        self.answer_all(&mut stream, way)
    }

    fn answer_all(&self, stream: &mut dyn Stream, way: Way) -> io::Result<()> {
        while let Some(request) = read_request(stream, way)? {
            let host = request.host.clone();
            self.seen.lock().unwrap().push(request.clone());
            self.count(&host, true);
            let reply = self.behaviour.answer(&request);
            // Once it is sent, the next one may come: what is counted is over before.
            self.count(&host, false);
            if !self.send(stream, &reply)? {
                stream.close();
                return Ok(());
            }
        }
        Ok(())
    }

    fn count(&self, host: &str, is_begun: bool) {
        let mut in_flight = self.in_flight.lock().unwrap();
        let (now, most) = in_flight.entry(host.to_owned()).or_default();
        if is_begun {
            *now += 1;
            *most = (*most).max(*now);
        } else {
            *now -= 1;
        }
    }

    /// Whether the connection stays open.
    fn send(&self, stream: &mut dyn Stream, reply: &Reply) -> io::Result<bool> {
        let (manner, body) = (reply.manner, reply.body.as_slice());
        let version = if manner == Manner::Http10 {
            "1.0"
        } else {
            "1.1"
        };
        let mut lines = vec![format!("HTTP/{version} {} X", reply.status)];
        let headers = reply.headers.iter();
        lines.extend(headers.map(|(name, value)| format!("{name}: {value}")));
        lines.push(match manner {
            Manner::Whole | Manner::HangUp | Manner::Cut => {
                format!("content-length: {}", body.len())
            }
            Manner::Drip => "content-length: 1000000".to_owned(),
            Manner::HugeHeaders => format!("x-huge: {}", "x".repeat(200 << 10)),
            _ => "connection: close".to_owned(),
        });
        let head = format!("{}\r\n\r\n", lines.join("\r\n"));
        match manner {
            Manner::Close => return Ok(false),
            Manner::DripHeaders => stream.write_all(b"HTTP/1.1 200 X\r\nx-drip: ")?,
            Manner::Garbage => stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n\r\n\r\n")?,
            _ => stream.write_all(head.as_bytes())?,
        }
        match manner {
            Manner::Cut | Manner::CutWithoutLength => {
                stream.write_all(&body[..body.len() / 2])?;
                stream.flush()?;
                stream.socket().shutdown(Shutdown::Both)?;
            }
            Manner::Endless => {
                stream.write_all(body)?;
                while !self.is_over.load(Ordering::SeqCst) {
                    stream.write_all(&[b' '; 16 << 10])?;
                }
            }
            Manner::Drip | Manner::DripHeaders => {
                while !self.is_over.load(Ordering::SeqCst) {
                    stream.write_all(b" ")?;
                    stream.flush()?;
                    thread::sleep(Duration::from_millis(20));
                }
            }
            _ => stream.write_all(body)?,
        }
        stream.flush()?;
        if manner == Manner::HangUp {
            stream.socket().shutdown(Shutdown::Both)?;
        }
        Ok(manner == Manner::Whole)
    }
}

/// The head of a request: none of ours has a body. `None` at the end of the connection.
fn read_request<S: Read + ?Sized>(stream: &mut S, way: Way) -> io::Result<Option<Request>> {
    let mut raw = Vec::new();
    let mut byte = [0; 1];
    while !raw.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte)? == 0 {
            return Ok(None);
        }
        raw.push(byte[0]);
    }
    let raw = String::from_utf8_lossy(&raw).into_owned();
    let mut lines = raw.lines();
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (method, target) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let host = headers.iter().find(|(name, _)| name == "host");
    Ok(Some(Request {
        host: host.map(|(_, value)| value.clone()).unwrap_or_default(),
        way,
        method: method.to_owned(),
        target: target.to_owned(),
        headers,
        raw: raw.clone(),
    }))
}

/// The first byte of TLS.
const HANDSHAKE: u8 = 0x16;
