//! `segcam studio` as pages and scripts meet it: a server in this process, asked over TCP.

mod api;
mod hostile;
mod security;
mod volumes;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use image::{GrayImage, Luma};
use segcam::burn::tensor::Device;
use segcam::models::{Pretrained, WindowRecipe};
use segcam_cli::annotations::{AnnotationFiles, Ignore, Labels};
use segcam_cli::network::{Name, Preparation, Source};
use segcam_cli::studio::gallery::{Gallery, Limits};
use segcam_cli::studio::{Guard, Settings, Studio};
use serde_json::Value;
use tempfile::{TempDir, tempdir};

/// A studio that runs until the tests end.
struct Server {
    address: SocketAddr,
}

/// What differs from a studio of nuclei on this machine.
struct Options {
    model: Pretrained,
    truth: Option<PathBuf>,
    limits: Limits,
    token: Option<String>,
    /// The address that the guard believes to have.
    seen_as: Option<SocketAddr>,
}

impl Default for Options {
    fn default() -> Self {
        let (truth, token, seen_as) = (None, None, None);
        Self { model: Pretrained::NucleiUNet, truth, limits: Limits::default(), token, seen_as }
    }
}

impl Server {
    fn start(paths: &[&Path]) -> Self {
        Self::with(paths, Options::default())
    }

    fn with(paths: &[&Path], options: Options) -> Self {
        let paths: Vec<PathBuf> = paths.iter().map(|path| path.to_path_buf()).collect();
        let gallery = Gallery::new(&paths, options.limits).expect("images");
        let source = Source {
            name: Name::Known(options.model),
            weights: None,
            onnx: Preparation::default(),
            windows: WindowRecipe::default(),
        };
        let truth = AnnotationFiles {
            truth: options.truth,
            truth_map: Labels::Classes,
            ignore: Ignore::Auto,
            truth_resize: false,
            instances: None,
        };
        let settings = Settings { source, truth, slice: None, device: None };
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let seen_as = options.seen_as.map(|seen| SocketAddr::new(seen.ip(), address.port()));
        let guard = Guard::new(seen_as.unwrap_or(address), options.token);
        let studio = Studio::new(settings, &Device::flex(), gallery, guard).expect("a studio");
        thread::spawn(move || studio.serve(&listener));
        Self { address }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        stream
    }

    /// Sends a request as it is, and reads the answer.
    fn raw(&self, request: &[u8]) -> Answer {
        let mut stream = self.connect();
        stream.write_all(request).expect("sent");
        Answer::read(&mut stream)
    }

    fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.raw(&request(&self.address.to_string(), method, path, headers, body))
    }

    fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], b"")
    }

    fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, &[], body.to_string().as_bytes())
    }

    /// The answer's JSON, which must be there.
    fn json(&self, path: &str) -> Value {
        self.get(path).ok().json()
    }

    fn ask(&self, body: Value) -> Value {
        self.post("/api/v1/questions", &body).ok().json()
    }
}

fn request(host: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
    if !headers.iter().any(|(name, _)| *name == "Host") {
        text += &format!("Host: {host}\r\n");
    }
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    if !body.is_empty() {
        text += &format!("Content-Length: {}\r\n", body.len());
    }
    let mut bytes = (text + "\r\n").into_bytes();
    bytes.extend(body);
    bytes
}

#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    /// One that ends the connection.
    fn read(stream: &mut TcpStream) -> Self {
        let mut bytes = vec![];
        // A server that says no may close before it has read everything.
        let _ = stream.read_to_end(&mut bytes);
        let end = bytes.windows(4).position(|at| at == b"\r\n\r\n").expect("a whole head");
        let head = String::from_utf8(bytes[..end].to_vec()).expect("text");
        let status = head.split(' ').nth(1).expect("a status").parse().expect("a number");
        Self { status, head, body: bytes[end + 4..].to_vec() }
    }

    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut found = lines.filter(|(known, _)| known.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value)
    }

    fn ok(self) -> Self {
        assert!((200..300).contains(&self.status), "{}\n{}", self.head, self.text());
        self
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("json")
    }

    /// Why not.
    fn refused(&self, status: u16, words: &str) {
        assert_eq!(self.status, status, "{}\n{}", self.head, self.text());
        let error = self.json()["error"].as_str().expect("words").to_string();
        assert!(error.contains(words), "{error} does not say {words}");
    }
}

/// A folder with a picture of two bright spots.
fn folder() -> TempDir {
    let folder = tempdir().expect("a folder");
    spots().save(folder.path().join("spots.png")).expect("saved");
    folder
}

fn spots() -> GrayImage {
    GrayImage::from_fn(48, 40, |x, y| {
        let spot = |cy: f32, cx: f32| {
            let distance = (y as f32 - cy).hypot(x as f32 - cx);
            if distance < 7.0 { 180.0 } else { 0.0 }
        };
        Luma([(20.0 + spot(12.0, 12.0) + spot(26.0, 34.0)) as u8])
    })
}

fn png(image: &GrayImage) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(vec![]);
    image.write_to(&mut bytes, image::ImageFormat::Png).expect("written");
    bytes.into_inner()
}
