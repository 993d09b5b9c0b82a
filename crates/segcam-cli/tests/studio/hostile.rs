//! Whatever is sent, the answer is a refusal, never a crash and never silence.

use std::io::Write;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Answer, Server, folder};

fn server() -> &'static Server {
    static SERVER: OnceLock<(tempfile::TempDir, Server)> = OnceLock::new();
    let (_, server) = SERVER.get_or_init(|| {
        let folder = folder();
        let server = Server::start(&[folder.path()]);
        (folder, server)
    });
    server
}

/// Cases of each property; `SEGCAM_STUDIO_CASES` gives another number.
fn cases() -> ProptestConfig {
    let cases = std::env::var("SEGCAM_STUDIO_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig { cases: cases.unwrap_or(120), ..ProptestConfig::default() }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            vec((".{0,8}", inner), 0..6)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

/// Pieces of the language of pixel sets, in any order.
fn any_set() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("class".to_string()),
        Just("each".into()),
        Just("fn".into()),
        Just("&".into()),
        Just("|".into()),
        Just("-".into()),
        Just("!".into()),
        Just("(".into()),
        Just(")".into()),
        Just(",".into()),
        Just("contrast(".into()),
        Just("box:".into()),
        Just("disc:".into()),
        Just("polygon:".into()),
        Just("component@".into()),
        Just("dilate(".into()),
        Just("random:".into()),
        Just("top:".into()),
        Just("soft".into()),
        Just("sphere:".into()),
        (0..60u32).prop_map(|n| n.to_string()),
        any::<u64>().prop_map(|n| n.to_string()),
        any::<f32>().prop_map(|n| n.to_string()),
        ".{0,3}",
    ];
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// A question that is right but for one field.
fn almost_right() -> impl Strategy<Value = Value> {
    let field = prop_oneof![
        Just("image"),
        Just("class"),
        Just("pixels"),
        Just("part"),
        Just("layers"),
        Just("methods"),
        Just("view"),
        Just("other"),
    ];
    (field, any_json()).prop_map(|(field, value)| {
        let mut question = json!({ "image": "i0", "layers": ["mid"] });
        question[field] = value;
        question
    })
}

/// An answer that is right, or a refusal in words; and soon.
fn answered(method: &str, path: &str, body: &[u8]) -> Result<(), TestCaseError> {
    let start = Instant::now();
    let answer = server().send(method, path, &[], body);
    prop_assert!((200..500).contains(&answer.status), "{} {}", answer.head, answer.text());
    if answer.status >= 400 {
        prop_assert!(answer.json()["error"].is_string());
    }
    prop_assert!(start.elapsed() < Duration::from_secs(30));
    Ok(())
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn questions_of_any_shape(body in any_json()) {
        answered("POST", "/api/v1/questions", body.to_string().as_bytes())?;
    }

    #[test]
    fn questions_with_a_wrong_field(body in almost_right()) {
        answered("POST", "/api/v1/questions", body.to_string().as_bytes())?;
    }

    #[test]
    fn sets_of_any_words(
        set in any_set(), class in 0..3usize, part in prop::option::of(any::<u8>()),
    ) {
        let body = json!({
            "image": "i0", "class": class, "pixels": set, "part": part, "layers": ["mid"],
        });
        answered("POST", "/api/v1/questions", body.to_string().as_bytes())?;
    }

    #[test]
    fn bodies_of_any_bytes(body in vec(any::<u8>(), 1..200)) {
        answered("POST", "/api/v1/questions", &body)?;
        answered("POST", "/api/v1/questions/q1/certificates", &body)?;
    }

    #[test]
    fn paths_of_any_words(path in "/[!-~]{0,40}", method in "GET|POST|DELETE|HEAD") {
        let answer = server().send(&method, &path, &[], b"");
        prop_assert!((200..500).contains(&answer.status), "{} {}", answer.head, answer.text());
    }

    #[test]
    fn places_of_any_numbers(
        part in "picture|labels|truth|thumbnail",
        plane in ".{0,6}", at in "-?[0-9]{0,22}", low in "[-0-9.enaif]{0,9}",
    ) {
        let plane: String = form_urlencoded::byte_serialize(plane.as_bytes()).collect();
        let query = format!("plane={plane}&at={at}&low={low}&high=1");
        answered("GET", &format!("/api/v1/images/i0/{part}?{query}"), b"")?;
    }

    #[test]
    fn uploads_of_any_bytes(
        ending in "png|jpg|tif|npy|nii|nii\\.gz|mgh|nrrd|mha|dcm",
        start in prop::sample::select(vec![
            &b""[..], b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"\x93NUMPY\x01\x00", b"II*\0",
            b"\x1f\x8b\x08", b"NRRD0004\n",
        ]),
        rest in vec(any::<u8>(), 0..300),
    ) {
        // A studio of its own: it may hold few uploads.
        static UPLOADS: OnceLock<Server> = OnceLock::new();
        let limits = segcam_cli::studio::gallery::Limits { files: usize::MAX, ..Default::default() };
        let server = UPLOADS.get_or_init(|| {
            Server::with(&[], super::Options { limits, ..super::Options::default() })
        });
        let bytes = [start, &rest[..]].concat();
        let answer = server.send("POST", &format!("/api/v1/images?name=a.{ending}"), &[], &bytes);
        prop_assert!((200..500).contains(&answer.status), "{}", answer.head);
        if answer.status == 201 {
            let id = answer.json()["id"].as_str().expect("an id").to_string();
            for path in [format!("/api/v1/images/{id}/thumbnail"), format!("/api/v1/images/{id}")] {
                let answer = server.get(&path);
                prop_assert!((200..500).contains(&answer.status), "{} {}", answer.head, answer.text());
            }
        }
    }

    #[test]
    fn bytes_that_are_no_http(bytes in vec(any::<u8>(), 1..400)) {
        let mut stream = server().connect();
        stream.write_all(&bytes).expect("sent");
        stream.write_all(b"\r\n\r\n").expect("sent");
        stream.shutdown(std::net::Shutdown::Write).expect("ended");
        let mut said = vec![];
        let _ = std::io::Read::read_to_end(&mut stream, &mut said);
        if !said.is_empty() {
            prop_assert!(said.starts_with(b"HTTP/1.1 4") || said.starts_with(b"HTTP/1.1 5"));
            prop_assert!(!said.starts_with(b"HTTP/1.1 500"));
        }
    }
}

#[test]
fn the_studio_goes_on_after_all_that() {
    let bad = server().post("/api/v1/questions", &json!({ "image": "i0", "pixels": "(" }));
    bad.refused(422, "");
    let answer: Answer = server().post("/api/v1/questions", &json!({ "image": "i0" })).ok();
    assert!(answer.json()["maps"][0]["report"].is_object());
}
