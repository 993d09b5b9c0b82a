//! Who may ask, and for what.

use std::fs;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use segcam_cli::studio::gallery::Limits;
use serde_json::json;
use tempfile::tempdir;

use super::{Answer, Options, Server, folder, png, spots};

#[test]
fn only_the_own_address_is_answered() {
    let server = Server::start(&[]);
    let port = server.address.port();
    let host = |name: &str| server.send("GET", "/api/v1/images", &[("Host", name)], b"");
    for ours in ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"] {
        host(&format!("{ours}:{port}")).ok();
    }
    let wrong = [
        "evil.example".to_string(),
        format!("evil.example:{port}"),
        format!("localhost.evil.example:{port}"),
        format!("127.0.0.1.evil.example:{port}"),
        format!("192.168.0.7:{port}"),
        "127.0.0.1:1".into(),
        "127.0.0.1".into(),
        format!("127.0.0.1:{port}:{port}"),
        String::new(),
    ];
    for name in wrong {
        host(&name).refused(403, "its own address");
    }
    server.raw(b"GET /api/v1/images HTTP/1.1\r\nConnection: close\r\n\r\n").refused(403, "address");
    let two = format!(
        "GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
    );
    server.raw(two.as_bytes()).refused(403, "address");
}

#[test]
fn other_pages_are_refused() {
    let server = Server::start(&[]);
    let own = format!("http://{}", server.address);
    let with = |headers: &[(&str, &str)], path: &str| server.send("GET", path, headers, b"");
    with(&[("Origin", &own)], "/api/v1/images").ok();
    with(&[("Sec-Fetch-Site", "same-origin")], "/api/v1/images").ok();
    with(&[("Sec-Fetch-Site", "none")], "/").ok();
    for origin in ["https://evil.example", "null", "http://localhost:1", ""] {
        with(&[("Origin", origin)], "/api/v1/images").refused(403, "another page");
    }
    with(&[("Origin", &own), ("Origin", "https://evil.example")], "/api/v1/images")
        .refused(403, "another page");
    for site in ["cross-site", "same-site"] {
        with(&[("Sec-Fetch-Site", site)], "/api/v1/images").refused(403, "another page");
        // A link may lead to the page, which then asks by itself.
        let link = [("Sec-Fetch-Site", site), ("Sec-Fetch-Mode", "navigate")];
        with(&link, "/").ok();
        with(&link, "/api/v1/images").refused(403, "another page");
    }
    let cross = [("Origin", "https://evil.example"), ("Content-Type", "text/plain")];
    server.send("POST", "/api/v1/images?name=a.png", &cross, b"x").refused(403, "another page");
    server.send("DELETE", "/api/v1/views/page", &cross, b"").refused(403, "another page");
}

#[test]
fn others_need_the_token() {
    let everywhere: SocketAddr = "0.0.0.0:0".parse().expect("an address");
    let token = segcam_cli::studio::token();
    assert_eq!(token.len(), 32);
    assert_ne!(token, segcam_cli::studio::token());
    let options =
        Options { token: Some(token.clone()), seen_as: Some(everywhere), ..Options::default() };
    let server = Server::with(&[], options);
    let port = server.address.port();
    let with = |headers: &[(&str, &str)]| server.send("GET", "/api/v1/images", headers, b"");
    with(&[]).refused(401, "token");
    server.get("/").refused(401, "token");
    server.get("/main.js").refused(401, "token");
    let short = format!("Bearer {}", &token[..31]);
    for wrong in ["Bearer ", &short, &format!("Bearer {token}0"), &token] {
        with(&[("Authorization", wrong)]).refused(401, "token");
    }
    with(&[("Cookie", "segcam=0")]).refused(401, "token");
    with(&[("Authorization", &format!("Bearer {token}"))]).ok();
    // The address that is printed makes a cookie, which scripts of other pages do not get.
    let opened = server.get(&format!("/?token={token}"));
    assert_eq!((opened.status, opened.header("Location")), (303, Some("/")));
    let cookie = opened.header("Set-Cookie").expect("a cookie");
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let pair = cookie.split(';').next().expect("a pair");
    with(&[("Cookie", &format!("other=1; {pair}"))]).ok();
    server.get(&format!("/api/v1/images?token={token}")).refused(401, "token");
    // Others come by number, never by a name that someone else can point here.
    let bearer = format!("Bearer {token}");
    let host = format!("192.168.0.7:{port}");
    with(&[("Authorization", &bearer), ("Host", &host)]).ok();
    let host = format!("evil.example:{port}");
    with(&[("Authorization", &bearer), ("Host", &host)]).refused(403, "address");
}

#[cfg(unix)]
#[test]
fn nothing_outside_of_the_given_folders_is_read() {
    use std::os::unix::fs::symlink;

    let outside = tempdir().expect("a folder");
    spots().save(outside.path().join("secret.png")).expect("saved");
    let folder = folder();
    symlink(outside.path().join("secret.png"), folder.path().join("link.png")).expect("a link");
    symlink(outside.path(), folder.path().join("linked")).expect("a link");
    fs::create_dir(folder.path().join("inner")).expect("a folder");
    spots().save(folder.path().join("inner/deep.png")).expect("saved");
    let server = Server::start(&[folder.path()]);
    let listed = server.json("/api/v1/images");
    let names: Vec<&str> = listed["images"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|i| i["name"].as_str())
        .collect();
    assert_eq!(names, ["spots.png"]);
    let secret = outside.path().join("secret.png");
    let secret = secret.display();
    let paths = [
        format!("/api/v1/images/{secret}"),
        format!("/api/v1/images/..%2f..%2f{secret}/thumbnail"),
        "/api/v1/images/../images/i0".to_string(),
        "/api/v1/images/%2e%2e/thumbnail".into(),
        "/api/v1/images/i0%00/thumbnail".into(),
        "/../../../../etc/passwd".into(),
        "/..%2f..%2f..%2fetc/passwd".into(),
        "/%2e%2e/Cargo.toml".into(),
        "//etc/passwd".into(),
        "/page/index.html".into(),
    ];
    for path in paths {
        server.get(&path).refused(404, "");
    }
    let body = json!({ "image": format!("{secret}") });
    server.post("/api/v1/questions", &body).refused(404, "no image");
    // A file that becomes a link later leads nowhere, too.
    server.get("/api/v1/images/i0/thumbnail").ok();
    fs::remove_file(folder.path().join("spots.png")).expect("removed");
    symlink(outside.path().join("secret.png"), folder.path().join("spots.png")).expect("a link");
    server.get("/api/v1/images/i0").refused(404, "no image");
    server.get("/api/v1/images/i0/thumbnail").refused(404, "no image");
    server.post("/api/v1/questions", &json!({ "image": "i0" })).refused(404, "no image");
}

#[test]
fn uploads_are_bounded() {
    let limits = Limits { file_bytes: 20_000, files: 3, all_bytes: 50_000, pixels: 10_000 };
    let server = Server::with(&[], Options { limits, ..Options::default() });
    let upload = |name: &str, bytes: &[u8]| {
        server.send("POST", &format!("/api/v1/images?name={name}"), &[], bytes)
    };
    let small = png(&spots());
    server.send("POST", "/api/v1/images", &[], &small).refused(400, "?name=FILE");
    for name in ["spots", "spots.exe", "spots.html", "", "spots.png.sh"] {
        upload(name, &small).refused(415, "can be looked at");
    }
    upload("large.npy", &vec![0; 20_001]).refused(413, "20001 bytes");
    // It is refused before it is read: nobody waits for what never comes.
    let host = server.address.to_string();
    let head = format!(
        "POST /api/v1/images?name=a.png HTTP/1.1\r\nHost: {host}\r\nContent-Length: 99999999999\r\n\r\n"
    );
    let start = Instant::now();
    server.raw(head.as_bytes()).refused(413, "too many");
    assert!(start.elapsed() < Duration::from_secs(10));
    // Names lead nowhere.
    let answer = upload("..%2F..%2Fetc%2Fspots.png", &small).ok().json();
    assert_eq!(
        (answer["name"].as_str(), answer["uploaded"].as_bool()),
        (Some("spots.png"), Some(true))
    );
    upload("%22%0D%0Aspots.png", &small).ok();
    upload("c.png", &small).ok();
    upload("d.png", &small).refused(507, "at most 3 files");
    assert_eq!(server.json("/api/v1/images")["images"].as_array().map(Vec::len), Some(3));
    // What was uploaded can be asked about, and its place is not told.
    let look = server.get("/api/v1/images/i0").ok();
    assert!(!look.text().contains("segcam-studio-"), "{}", look.text());
    let answer = server.ask(json!({ "image": "i0" }));
    let command = answer["command"].as_str().expect("a command");
    assert!(command.contains("--input spots.png"), "{command}");
}

#[test]
fn decompression_bombs_are_refused() {
    let limits = Limits { pixels: 1 << 20, ..Limits::default() };
    let folder = tempdir().expect("a folder");
    // Few bytes that become many.
    let bomb = png(&image::GrayImage::new(4000, 4000));
    assert!(bomb.len() < 100_000, "{}", bomb.len());
    fs::write(folder.path().join("bomb.png"), &bomb).expect("written");
    let server = Server::with(&[folder.path()], Options { limits, ..Options::default() });
    server.send("POST", "/api/v1/images?name=b.png", &[], &bomb).refused(413, "16000000 pixels");
    for path in ["/api/v1/images/i0", "/api/v1/images/i0/thumbnail"] {
        server.get(path).refused(422, "16000000 pixels");
    }
    server.post("/api/v1/questions", &json!({ "image": "i0" })).refused(422, "16000000 pixels");
    // Scans, too: few bytes that become many, and words that promise many.
    let mut packed = flate2::write::GzEncoder::new(vec![], flate2::Compression::best());
    packed.write_all(&vec![0; 16 << 20]).expect("in memory");
    let packed = packed.finish().expect("in memory");
    assert!(packed.len() < 100_000);
    for name in ["a.nii.gz", "a.mgz"] {
        let path = format!("/api/v1/images?name={name}");
        server.send("POST", &path, &[], &packed).refused(413, "more than 1048576 voxels");
    }
    for (name, text) in [
        (
            "a.nrrd",
            "NRRD0004\ntype: float\ndimension: 3\nsizes: 99999 99999 99999\nencoding: gzip\n\n",
        ),
        (
            "a.mha",
            "ObjectType = Image\nNDims = 3\nDimSize = 99999 99999 99999\nElementDataFile = LOCAL\n",
        ),
    ] {
        let path = format!("/api/v1/images?name={name}");
        server.send("POST", &path, &[], text.as_bytes()).refused(413, "voxels");
    }
    server.send("POST", "/api/v1/images?name=a.png", &[], b"no picture").refused(415, "damaged");
    // An array whose header promises more than there is.
    let mut array = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    let text = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 100000, 100000), }";
    array.extend(format!("{text:117}\n").bytes());
    let answer = server.send("POST", "/api/v1/images?name=a.npy", &[], &array).ok().json();
    let id = answer["id"].as_str().expect("an id");
    server.get(&format!("/api/v1/images/{id}")).refused(422, "cut off");
}

#[test]
fn pages_may_load_nothing_from_elsewhere() {
    let server = Server::start(&[]);
    for path in ["/", "/main.js", "/style.css", "/api/v1/studio", "/api/v1/nothing"] {
        let answer = server.get(path);
        let policy = answer.header("Content-Security-Policy").expect("a policy");
        for words in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "frame-ancestors 'none'",
        ] {
            assert!(policy.contains(words), "{policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("X-Content-Type-Options"), Some("nosniff"));
        assert_eq!(answer.header("Cross-Origin-Resource-Policy"), Some("same-origin"));
        assert!(answer.header("Access-Control-Allow-Origin").is_none());
    }
    let page = server.get("/").ok().text();
    assert!(!page.contains("http://") && !page.contains("https://"), "{page}");
    assert!(!page.contains("style=") && !page.contains("<style"), "{page}");
    let tags = page.split('<').filter_map(|tag| tag.split('>').next());
    let mut attributes = tags.flat_map(|tag| tag.split(' ').skip(1));
    assert!(!attributes.any(|attribute| attribute.starts_with("on") && attribute.contains('=')));
    // Every script is a file.
    assert_eq!(
        page.matches("<script").count(),
        page.matches("<script type=\"module\" src=\"").count()
    );
}

#[test]
fn slow_and_endless_requests_are_ended() {
    let server = Server::start(&[]);
    let mut endless = server.connect();
    endless.write_all(b"GET / HTTP/1.1\r\n").expect("sent");
    let line = [b'a'; 1000];
    let mut sent = 0;
    while sent < 100_000 && endless.write_all(&line).is_ok() {
        sent += line.len();
    }
    Answer::read(&mut endless).refused(431, "too long");
    let mut many = String::from("GET / HTTP/1.1\r\n");
    (0..100).for_each(|at| many += &format!("X-{at}: 1\r\n"));
    server.raw((many + "\r\n").as_bytes()).refused(431, "too many headers");
    // Those who connect and say nothing keep nobody else waiting.
    let silent: Vec<_> = (0..100).map(|_| server.connect()).collect();
    server.get("/").ok();
    drop(silent);
    let host = server.address;
    let both = format!(
        "POST /api/v1/questions HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    );
    server.raw(both.as_bytes()).refused(411, "Content-Length");
    for length in ["-1", "+5", "1e9", "99999999999999999999999", "5, 5", ""] {
        let head = format!("POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n");
        server.raw(head.as_bytes()).refused(400, "Content-Length");
    }
    server.send("PUT", "/api/v1/images", &[], b"").refused(405, "GET, POST");
    // Connections that go on: two requests on one.
    let mut stream = server.connect();
    for last in [false, true] {
        let close = if last { "Connection: close\r\n" } else { "" };
        let get = format!("GET /api/v1/images HTTP/1.1\r\nHost: {host}\r\n{close}\r\n");
        stream.write_all(get.as_bytes()).expect("sent");
        if !last {
            let mut some = [0; 12];
            stream.read_exact(&mut some).expect("an answer");
            assert_eq!(&some, b"HTTP/1.1 200");
            let mut rest = vec![0; 8192];
            let read = stream.read(&mut rest).expect("the rest");
            assert!(read > 0);
        }
    }
    assert_eq!(Answer::read(&mut stream).status, 200);
}
