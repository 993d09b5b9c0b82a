//! HTTP/1.1 for one page and those who script it: a thread for each connection, and a bound on
//! everything that comes in.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use httparse::{EMPTY_HEADER, Status};
use serde::Serialize;

/// Bytes of a request before its body.
const HEAD: usize = 16 << 10;
const HEADERS: usize = 64;
/// Connections at a time. A browser opens six for each page.
const CONNECTIONS: usize = 256;
/// Bodies of more than [`SMALL`] bytes that may arrive at a time.
const LARGE_ONES: usize = 4;
const SMALL: u64 = 1 << 20;
/// How long a connection may be silent between requests, and how long a request may take to arrive.
const IDLE: Duration = Duration::from_secs(60);
const ARRIVAL: Duration = Duration::from_secs(60);
/// How long a reader may not take anything.
const STUCK: Duration = Duration::from_secs(30);

/// A request without its body.
#[derive(Debug, Clone)]
pub struct Head {
    /// `GET`, `POST`, …
    pub method: String,
    /// As it was sent, without the query.
    pub path: String,
    query: String,
    headers: Vec<(String, String)>,
    /// Bytes that follow.
    pub length: u64,
    keep_alive: bool,
}

impl Head {
    /// A header; `None` if it is missing, or there several times.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        let (_, value) = found.next()?;
        found.next().is_none().then_some(value)
    }

    /// Whether a header is there.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name))
    }

    /// What the query says of a name.
    pub fn query(&self, name: &str) -> Option<String> {
        let mut pairs = form_urlencoded::parse(self.query.as_bytes());
        pairs.find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
    }
}

/// A whole request.
#[derive(Debug)]
pub struct Request<'a> {
    /// What comes first.
    pub head: Head,
    /// What follows it.
    pub body: Vec<u8>,
    connection: &'a TcpStream,
}

impl Request<'_> {
    /// Whether whoever asked went away.
    pub fn is_abandoned(&self) -> bool {
        let peek = || {
            self.connection.set_nonblocking(true)?;
            let seen = self.connection.peek(&mut [0]);
            self.connection.set_nonblocking(false)?;
            seen
        };
        match peek() {
            Ok(bytes) => bytes == 0,
            Err(error) => error.kind() != ErrorKind::WouldBlock,
        }
    }
}

/// What is sent back.
#[derive(Debug)]
pub struct Response {
    /// 200, 404, …
    pub status: u16,
    kind: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Response {
    /// Bytes of a media type.
    pub fn new(kind: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, kind, headers: vec![], body: body.into() }
    }

    /// A value as JSON.
    pub fn json(value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => Self::new("application/json", body),
            Err(error) => Self::error(500, &error.to_string()),
        }
    }

    /// `{"error": …}`
    pub fn error(status: u16, words: &str) -> Self {
        Self::json(&serde_json::json!({ "error": words })).with_status(status)
    }

    /// With another status than 200.
    pub fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// With one more header.
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn reason(&self) -> &'static str {
        match self.status {
            200 => "OK",
            201 => "Created",
            204 => "No Content",
            303 => "See Other",
            400 => "Bad Request",
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "Not Found",
            405 => "Method Not Allowed",
            408 => "Request Timeout",
            409 => "Conflict",
            410 => "Gone",
            411 => "Length Required",
            413 => "Content Too Large",
            415 => "Unsupported Media Type",
            422 => "Unprocessable Content",
            431 => "Request Header Fields Too Large",
            503 => "Service Unavailable",
            505 => "HTTP Version Not Supported",
            507 => "Insufficient Storage",
            _ => "Internal Server Error",
        }
    }

    fn send(&self, mut to: &TcpStream, keep_alive: bool, whole: bool) -> io::Result<()> {
        let connection = if keep_alive { "keep-alive" } else { "close" };
        let mut text = format!(
            "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: {connection}\r\n",
            self.status,
            self.reason(),
            self.kind,
            self.body.len(),
        );
        for (name, value) in &self.headers {
            // What would begin a header of its own ends here.
            let value: String = value.chars().filter(|c| !c.is_control()).collect();
            text += &format!("{name}: {value}\r\n");
        }
        let mut bytes = (text + "\r\n").into_bytes();
        if whole {
            bytes.extend(&self.body);
        }
        to.write_all(&bytes)?;
        to.flush()
    }
}

/// Who answers.
pub trait Service: Send + Sync + 'static {
    /// How large the body of a request may be, or the answer to one that is refused before it is read.
    ///
    /// # Errors
    /// The refusal.
    fn accept(&self, head: &Head) -> Result<u64, Response>;

    /// The answer.
    fn answer(&self, request: &Request<'_>) -> Response;
}

/// Answers whoever connects, until the listener fails.
///
/// # Errors
/// What the system says.
pub fn serve(listener: &TcpListener, service: &Arc<impl Service>) -> io::Result<()> {
    let (open, large) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    loop {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if is_passing(&error) => {
                thread::sleep(Duration::from_millis(20));
                continue;
            }
            Err(error) => return Err(error),
        };
        let place = Place::take(&open, CONNECTIONS);
        let (service, large) = (service.clone(), large.clone());
        let connection = move || {
            if let Some(_place) = place {
                // Whatever is wrong with a connection ends that connection.
                let _ = talk(&stream, &*service, &large);
            } else {
                let busy = Response::error(503, "too many connections");
                let _ = busy.send(&stream, false, true);
            }
        };
        // Without a thread the connection is dropped, and the next one may have better luck.
        let _ = thread::Builder::new().name("connection".into()).spawn(connection);
    }
}

/// One connection's trouble, or files that others will close again.
fn is_passing(error: &io::Error) -> bool {
    const TOO_MANY_FILES: [i32; 2] = [23, 24];
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted
    ) || error.raw_os_error().is_some_and(|code| TOO_MANY_FILES.contains(&code))
}

/// One of the connections, or of the large bodies, that there may be.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(open: &Arc<AtomicUsize>, most: usize) -> Option<Self> {
        let place = Self(open.clone());
        (open.fetch_add(1, Ordering::AcqRel) < most).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Request after request.
fn talk(stream: &TcpStream, service: &impl Service, large: &Arc<AtomicUsize>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(STUCK))?;
    let mut arrived = vec![];
    loop {
        let head = match head(stream, &mut arrived)? {
            Some(Ok(head)) => head,
            Some(Err(refusal)) => return refuse(stream, &refusal),
            None => return Ok(()),
        };
        let most = match service.accept(&head) {
            Ok(most) => most,
            Err(refusal) => return refuse(stream, &refusal),
        };
        if head.length > most {
            let words = format!("{} bytes are too many: at most {most}", head.length);
            return refuse(stream, &Response::error(413, &words));
        }
        let place = (head.length > SMALL).then(|| Place::take(large, LARGE_ONES));
        if let Some(None) = place {
            return refuse(stream, &Response::error(503, "too many uploads at a time: try again"));
        }
        if head.header("expect").is_some_and(|wants| wants.eq_ignore_ascii_case("100-continue")) {
            (&mut &*stream).write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let Some(body) = body(stream, &mut arrived, head.length as usize)? else {
            return refuse(stream, &Response::error(408, "the request did not arrive in time"));
        };
        let (keep_alive, whole) = (head.keep_alive, head.method != "HEAD");
        let request = Request { head, body, connection: stream };
        let answer = service.answer(&request);
        drop((request, place));
        answer.send(stream, keep_alive, whole)?;
        if !keep_alive {
            return Ok(());
        }
    }
}

/// Says no, and reads some of what is still on its way: a connection that is closed on unread bytes
/// is reset, and its answer is lost.
fn refuse(stream: &TcpStream, refusal: &Response) -> io::Result<()> {
    refusal.send(stream, false, true)?;
    stream.shutdown(std::net::Shutdown::Write)?;
    stream.set_read_timeout(Some(Duration::from_millis(200)))?;
    let mut waste = [0; 4096];
    let until = Instant::now() + Duration::from_secs(2);
    while Instant::now() < until && (&mut &*stream).read(&mut waste)? > 0 {}
    Ok(())
}

/// The next request's head, or why it is none; `None` if there is no further request.
fn head(stream: &TcpStream, arrived: &mut Vec<u8>) -> io::Result<Option<Result<Head, Response>>> {
    let silent = Instant::now() + IDLE;
    let mut late = None;
    loop {
        match parsed(arrived) {
            Ok(Some((head, length))) => {
                arrived.drain(..length);
                return Ok(Some(Ok(head)));
            }
            Ok(None) if arrived.len() > HEAD => {
                return Ok(Some(Err(Response::error(431, "the request's headers are too long"))));
            }
            Ok(None) => {}
            Err(refusal) => return Ok(Some(Err(refusal))),
        }
        if late.is_none() && !arrived.is_empty() {
            late = Some(Instant::now() + ARRIVAL);
        }
        match some(stream, arrived, 4096, late.unwrap_or(silent))? {
            Some(0) => return Ok(None),
            Some(_) => {}
            None if late.is_some() => {
                let words = "the request did not arrive in time";
                return Ok(Some(Err(Response::error(408, words))));
            }
            None => return Ok(None),
        }
    }
}

/// Reads what has come; `None` if nothing did until then.
fn some(
    stream: &TcpStream,
    arrived: &mut Vec<u8>,
    most: usize,
    until: Instant,
) -> io::Result<Option<usize>> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Ok(None);
    }
    stream.set_read_timeout(Some(left))?;
    let before = arrived.len();
    arrived.resize(before + most, 0);
    let read = (&mut &*stream).read(&mut arrived[before..]);
    arrived.truncate(before + read.as_ref().map_or(0, |read| *read));
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn body(stream: &TcpStream, arrived: &mut Vec<u8>, length: usize) -> io::Result<Option<Vec<u8>>> {
    let until = Instant::now() + ARRIVAL;
    while arrived.len() < length {
        let most = (length - arrived.len()).min(256 << 10);
        match some(stream, arrived, most, until)? {
            Some(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Some(_) => {}
            None => return Ok(None),
        }
    }
    let rest = arrived.split_off(length);
    Ok(Some(std::mem::replace(arrived, rest)))
}

/// A head and how many bytes it has, if it is all there.
fn parsed(arrived: &[u8]) -> Result<Option<(Head, usize)>, Response> {
    let bad = |words: &str| Response::error(400, words);
    let mut headers = [EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let length = match request.parse(&arrived[..arrived.len().min(HEAD)]) {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => {
            return Err(Response::error(431, "the request has too many headers"));
        }
        Err(httparse::Error::Version) => return Err(Response::error(505, "only HTTP/1 is spoken")),
        Err(error) => return Err(bad(&format!("no HTTP request: {error}"))),
    };
    let mut list = vec![];
    for header in request.headers.iter() {
        let value = std::str::from_utf8(header.value).map_err(|_| bad("a header is no text"))?;
        list.push((header.name.to_string(), value.trim().to_string()));
    }
    let target = request.path.unwrap_or("");
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if !path.starts_with('/') {
        return Err(bad("the request names no path"));
    }
    let version = request.version.unwrap_or(0);
    let mut head = Head {
        method: request.method.unwrap_or("").to_string(),
        path: path.to_string(),
        query: query.to_string(),
        headers: list,
        length: 0,
        keep_alive: false,
    };
    if head.has("transfer-encoding") {
        return Err(Response::error(411, "send the body with its Content-Length"));
    }
    if head.has("content-length") {
        let length = head.header("content-length");
        let digits = length.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let length = digits.and_then(|text| text.parse().ok());
        head.length = length.ok_or_else(|| bad("Content-Length is no number of bytes"))?;
    }
    let says = |word| head.header("connection").is_some_and(|c| c.eq_ignore_ascii_case(word));
    head.keep_alive = if version == 0 { says("keep-alive") } else { !says("close") };
    Ok(Some((head, length)))
}

/// Whether only this machine can connect.
pub fn is_loopback(address: &SocketAddr) -> bool {
    address.ip().is_loopback()
}
