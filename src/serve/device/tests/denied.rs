//! What a denied device gets, over a real socket: nothing, whatever it comes with.

use super::world::World;
use super::{CANARY, standard};
use crate::model::Event;

fn deny(world: &mut World, device: &str) {
    let reason = "stolen".parse().unwrap();
    world.add(Event::DeviceDenied { device: device.parse().unwrap(), reason });
}

#[tokio::test]
async fn a_denied_device_gets_nothing_from_its_next_request_on() {
    let (world, _, new) = standard();
    let server = world.serve();
    let blob = format!("/v1/blobs/{}", new.blake3);
    let header = "ringfence-device: canary-1";
    for credential in [CANARY, header] {
        assert_eq!(server.get("/v1/offers/av", &[credential]).await.status(), 200, "{credential}");
        assert_eq!(server.get(&blob, &[credential]).await.status(), 200, "{credential}");
    }
    server.change(|world| deny(world, "canary-1"));
    let absent = server.get(&format!("/v1/blobs/{}", "0".repeat(64)), &[CANARY]).await;
    let report = r#"{"id":"r1","product":"av","version":"2.0","event":"installed"}"#;
    for credential in [CANARY, header] {
        let offer = server.get("/v1/offers/av", &[credential]).await;
        assert_eq!(offer.status(), 401);
        assert_eq!(offer, server.get("/v1/offers/av", &["authorization: Bearer rf_unknown"]).await, "{credential}");
        assert_eq!(server.ask("POST", "/v1/reports", &[credential], report).await.status(), 401);
        for path in [&blob, "/shares/s/x"] {
            assert_eq!(server.get(path, &[credential]).await, absent, "{path}");
            let ranged = server.get(path, &[credential, "range: bytes=0-1", "if-none-match: *"]).await;
            assert_eq!(ranged, absent, "{path}");
        }
    }
    assert!(server.reports.lock().unwrap().is_empty());
    // Others are as before, and so is the device once it is allowed again.
    assert_eq!(server.get("/v1/offers/av", &["ringfence-device: canary-2"]).await.status(), 200);
    server.change(|world| {
        let (device, reason) = ("canary-1".parse().unwrap(), "found again".parse().unwrap());
        world.add(Event::DeviceAllowed { device, reason });
    });
    assert_eq!(server.get(&blob, &[CANARY]).await.status(), 200);
}
