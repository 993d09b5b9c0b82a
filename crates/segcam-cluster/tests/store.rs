//! Inputs and outputs in an S3-compatible store, s3s-fs on loopback: the same table as of folders.

use std::fs;
use std::net::SocketAddr;

use std::process::{Command, Output};

use clap::Parser;
use futures::TryStreamExt;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use segcam_batch::{Row, Table};
use segcam_cli::nuclei::Nuclei;
use segcam_cli::terminal::Args;
use tempfile::{TempDir, tempdir};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

const KEYS: [&str; 2] = ["someone", "a-secret"];
const OPTIONS: [&str; 6] = ["--certify", "--class", "all", "--save", "raw", "--figures"];
/// No image.
const BAD: &str = "b/bad.png";

/// A store, and a folder with the same images.
struct Stored {
    runtime: Runtime,
    address: SocketAddr,
    /// Where the server keeps what it has.
    _buckets: TempDir,
    folder: TempDir,
}

impl Stored {
    fn new() -> Self {
        let (buckets, folder) = (tempdir().expect("a folder"), tempdir().expect("a folder"));
        for bucket in ["pictures", "results"] {
            fs::create_dir(buckets.path().join(bucket)).expect("made");
        }
        let mut service =
            S3ServiceBuilder::new(s3s_fs::FileSystem::new(buckets.path()).expect("a folder"));
        service.set_auth(SimpleAuth::from_single(KEYS[0], KEYS[1]));
        let service = service.build();
        let runtime = Runtime::new().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = listener.local_addr().expect("an address");
        runtime.spawn(async move {
            loop {
                let Ok((socket, _)) = listener.accept().await else { continue };
                let service = service.clone();
                tokio::spawn(async move {
                    let http = Builder::new(TokioExecutor::new());
                    let _ = http.serve_connection(TokioIo::new(socket), service).await;
                });
            }
        });
        let stored = Self { runtime, address, _buckets: buckets, folder };
        for (number, name) in
            ["a 1.png", "b/2.png", "b/c/ü=3.png", BAD, "notes.md"].iter().enumerate()
        {
            let path = stored.folder.path().join("images").join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            match path.extension().is_some_and(|ending| ending == "png") && *name != BAD {
                true => Nuclei::new(number as u64).image.save(&path).expect("saved"),
                false => fs::write(&path, "no image").expect("written"),
            }
            stored.put(&format!("nuclei/{name}"), &fs::read(&path).expect("read"));
        }
        stored
    }

    fn bucket(&self, bucket: &str) -> AmazonS3 {
        let builder = AmazonS3Builder::new().with_bucket_name(bucket).with_allow_http(true);
        let builder = builder.with_endpoint(format!("http://{}", self.address));
        builder
            .with_access_key_id(KEYS[0])
            .with_secret_access_key(KEYS[1])
            .build()
            .expect("a store")
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        let (pictures, bytes) = (self.bucket("pictures"), PutPayload::from(bytes.to_vec()));
        // As it is: `from` would write letters as numbers.
        let name = Path::parse(name).expect("a name");
        let put = async { pictures.put(&name, bytes).await };
        self.runtime.block_on(put).expect("put");
    }

    /// What is in the bucket of results.
    fn results(&self) -> Vec<String> {
        let results = self.bucket("results");
        let all = self.runtime.block_on(results.list(None).try_collect::<Vec<_>>());
        let mut names: Vec<String> =
            all.expect("a list").iter().map(|object| object.location.to_string()).collect();
        names.sort();
        names
    }

    fn result(&self, name: &str) -> Vec<u8> {
        let results = self.bucket("results");
        let path = Path::parse(name).expect("a name");
        let get = async { results.get(&path).await?.bytes().await };
        self.runtime.block_on(get).unwrap_or_else(|error| panic!("{name}: {error}")).to_vec()
    }

    fn program(&self) -> Command {
        let mut program = Command::new(env!("CARGO_BIN_EXE_segcam-cluster"));
        program.current_dir(self.folder.path());
        program.env("AWS_ACCESS_KEY_ID", KEYS[0]).env("AWS_SECRET_ACCESS_KEY", KEYS[1]);
        program.env("AWS_ENDPOINT_URL", format!("http://{}", self.address));
        program.env("AWS_ALLOW_HTTP", "true").env("AWS_REGION", "us-east-1");
        program
    }

    fn batch(&self, cluster: &str, out: &str) -> Output {
        let mut program = self.program();
        program.args(["batch", "--json", "--cluster", cluster, "--input", "s3://pictures/nuclei"]);
        program.args(["--csv", "--out", out]).args(OPTIONS).output().expect("runs")
    }

    fn rows(&self, out: &str) -> Vec<Row> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), self.result(&format!("{out}/results.parquet"))).expect("written");
        rows(file.path())
    }
}

fn rows(table: &std::path::Path) -> Vec<Row> {
    let table = Table::open(table).expect("a table");
    table.rows().collect::<Result<_, _>>().expect("rows")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn assert_some_failed(output: &Output, said: &str) {
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert!(
        stderr.starts_with(&format!("error: {BAD}: ")) && stderr.lines().count() == 1,
        "{stderr}"
    );
    assert!(stdout.contains(said), "{stdout}");
}

#[test]
fn a_store_is_as_good_as_a_folder() {
    let stored = Stored::new();
    let folder = stored.folder.path();
    let (images, out) = (folder.join("images"), folder.join("out"));
    let args = [
        "segcam",
        "--quiet",
        "batch",
        "--csv",
        "--input",
        &images.to_string_lossy(),
        "--out",
        &out.to_string_lossy(),
    ]
    .map(String::from);
    let args = Args::try_parse_from(args.into_iter().chain(OPTIONS.map(String::from)));
    segcam_cli::terminal::run(args.expect("options")).expect("a run");
    let expected = rows(&out.join("results.parquet"));

    for (cluster, name) in [("here", "audit/one"), ("standalone", "two")] {
        let output = stored.batch(cluster, &format!("s3://results/{name}"));
        assert_some_failed(&output, "\"computed\": 4");
        assert!(text(&output.stdout).contains(&format!("s3://results/{name}/results.parquet")));
        let found = stored.rows(name);
        assert_eq!(found.len(), expected.len());
        let mut files = vec![format!("{name}/results.csv"), format!("{name}/results.parquet")];
        for (expected, found) in expected.iter().zip(&found) {
            for column in segcam_cli::columns::columns().iter().map(|column| &*column.name) {
                let cells = [expected, found].map(|row| row.get(column).map(|cell| cell.to_text()));
                assert!(cells[0] == cells[1] || column == "seconds", "{column}: {cells:?}");
            }
            for column in ["item", "input", "error", "files"] {
                assert_eq!(expected.get(column), found.get(column), "{column}");
            }
            // The store's own mark of what was read.
            assert!(found.text("contents").is_some_and(|mark| mark.len() == 32), "{found:?}");
            files.extend(
                found
                    .text("files")
                    .into_iter()
                    .flat_map(str::lines)
                    .map(|file| format!("{name}/{file}")),
            );
        }
        files.sort();
        let there =
            stored.results().into_iter().filter(|file| file.starts_with(&format!("{name}/")));
        assert_eq!(there.collect::<Vec<_>>(), files);
        assert!(files.len() > 10, "{files:?}");
        for file in files.iter().filter(|file| file.ends_with(".npy")) {
            let expected =
                fs::read(out.join(file.trim_start_matches(&format!("{name}/")))).expect("read");
            assert!(stored.result(file) == expected, "{file}");
        }
        let picture = files.iter().find(|file| file.ends_with(".png")).expect("a picture");
        let command =
            format!("segcam-cluster batch --json --cluster {cluster} --input s3://pictures/nuclei");
        assert!(text(&stored.result(picture)).contains(&command), "it says what was typed");
    }
    assert!(!folder.join("segcam-unfinished").exists(), "nothing is left on this machine");

    // It goes on from the table in the store, and computes what changed.
    assert_some_failed(&stored.batch("here", "s3://results/two"), "\"known\": 4");
    let other = folder.join("other.png");
    Nuclei::new(9).image.save(&other).expect("saved");
    stored.put("nuclei/b/2.png", &fs::read(&other).expect("read"));
    let output = stored.batch("here", "s3://results/two");
    assert_some_failed(&output, "\"computed\": 1");
    let of = |rows: &[Row], input: &str| -> Vec<Option<f64>> {
        let rows = rows.iter().filter(|row| row.text("input") == Some(input));
        rows.map(|row| row.number("score")).collect()
    };
    let found = stored.rows("two");
    assert_eq!(of(&found, "a 1.png"), of(&expected, "a 1.png"));
    assert_ne!(of(&found, "b/2.png"), of(&expected, "b/2.png"));

    // Tables in stores are asked as others are.
    let query = "select count(*) as n from maps where error is null";
    let mut sql = stored.program();
    let output =
        sql.args(["sql", "--json", "s3://results/audit/one/results.parquet", query]).output();
    let output = output.expect("runs");
    let good = expected.iter().filter(|row| row.text("error").is_none()).count();
    assert_eq!(
        text(&output.stdout).trim(),
        format!("[{{\"n\":{good}}}]"),
        "{}",
        text(&output.stderr)
    );

    // What is wrong is said in a line.
    let out = ["--out", "s3://results/three"];
    for (words, key, said) in [
        (&["--input", "s3://pictures/nothing"][..], KEYS[1], "no inputs in s3://pictures/nothing"),
        (&["--input", "s3://nowhere/a"], KEYS[1], "cannot list s3://nowhere/a: "),
        (&["--input", "s3:///a"], KEYS[1], "wanted s3://BUCKET/NAME"),
        (&["--input", "s3://pictures/nuclei"], "wrong", "cannot list s3://pictures/nuclei: "),
        (&["--input", "s3://pictures/nuclei", "--truth", "images"], KEYS[1], "mount the bucket"),
    ] {
        let mut program = stored.program();
        program.env("AWS_SECRET_ACCESS_KEY", key).arg("batch").args(words).args(out);
        let output = program.output().expect("runs");
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(said) && stderr.lines().count() == 1, "{said}: {stderr}");
    }
}
