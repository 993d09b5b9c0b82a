//! A remote server that dies half-way: an error for each map that is still to come, no panic, no
//! waiting, and the maps that were finished stay what they are.
#![cfg(feature = "remote")]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use burn::module::Module;
use segcam::engine::GraphError;
use segcam::{
    AllPixels, CamError, Explainer, HiResCam, PredictedClass, Request, SegHiResGradCam, guarded,
};
use segcam_tests::{SmallNetConfig, host, noise, seeded_net, serve};

/// Stands between client and server, and can cut every connection.
struct Wire {
    port: u16,
    cut: Arc<AtomicBool>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
}

impl Wire {
    fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let wire = Self { port, cut: Arc::default(), streams: Arc::default() };
        let (cut, streams) = (wire.cut.clone(), wire.streams.clone());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if cut.load(Ordering::SeqCst) {
                    // Nobody listens any more.
                    return;
                }
                let server = TcpStream::connect(&server).expect("the server");
                let clone = |stream: &TcpStream| stream.try_clone().expect("a stream");
                streams.lock().expect("no panic").extend([clone(&client), clone(&server)]);
                pass_on(clone(&client), clone(&server));
                pass_on(server, client);
            }
        });
        wire
    }

    fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
        for stream in self.streams.lock().expect("no panic").drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        // Lets the thread that accepts connections see that it is over.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream) {
    thread::spawn(move || {
        let mut bytes = [0; 1 << 16];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            if to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
}

#[test]
fn a_server_that_dies_half_way() {
    let server = serve();
    let address = server.trim_start_matches("remote:ws://").to_string();
    let wire = Wire::to(address);
    let device = segcam::device(&format!("remote:ws://127.0.0.1:{}", wire.port)).expect("a device");
    let net = seeded_net(5, |device| SmallNetConfig::new(3).init_2d(device)).to_device(&device);
    let image = noise(6, [1, 2, 12, 14]).to_device(&device);
    let seen = Explainer::new(net).observe(image).expect("an observation");

    let targets = [0, 1, 2].map(|class| seen.target(&AllPixels, class).expect("a target"));
    // Requests are computed in blocks of 64.
    let request =
        |number: usize| Request::new(&HiResCam, ["enc", "mid"][number % 2], &targets[number % 3]);
    let mut maps = seen.explain_all((0..192).map(request));
    let finished: Vec<_> = maps.by_ref().take(64).map(|map| map.expect("a map")).collect();
    let before: Vec<Vec<f32>> = finished.iter().map(|map| host(map.raw())).collect();
    assert!(before.iter().all(|map| map.iter().any(|value| *value != 0.0)));
    let certificate = seen.certify(&finished[0]).expect("a certificate");
    assert!(certificate.completeness_error().is_some_and(f64::is_finite), "{certificate:?}");

    wire.cut();
    let after: Vec<_> = maps.collect();
    assert_eq!(after.len(), 128, "an answer to every request");
    for map in after {
        let error = map.expect_err("no server");
        assert!(matches!(error, CamError::Backend { .. }), "{error}");
    }
    // Finished maps keep what is known of them; what only the server had is an error, too.
    for (map, before) in finished.iter().zip(&before) {
        let largest = before.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        assert_eq!(map.range()[0].1, f64::from(largest));
        let read = guarded::<_, CamError>(|| Ok(map.raw().to_data()));
        assert!(matches!(read, Err(CamError::Backend { .. })), "{read:?}");
    }
    assert!(seen.explain(&SegHiResGradCam::new(PredictedClass), "mid", 1).is_err());
    // Of a layer that has been certified, and of one that has not: no shares that are NaN.
    for map in &finished[..2] {
        let certificate = seen.certify(map);
        let lost = |error: &CamError| {
            matches!(error, CamError::Backend { .. } | CamError::Graph(GraphError::Read { .. }))
        };
        assert!(certificate.as_ref().is_err_and(lost), "{certificate:?}");
    }
}
