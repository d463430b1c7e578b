//! Stopping, and unix sockets.

use super::*;

#[tokio::test]
async fn a_running_answer_is_finished_and_idle_connections_end() {
    let server = start(relaxed());
    let mut idle = server.connect().await;
    idle.write_all(b"GET /1 HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut running = server.connect().await;
    running.write_all(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    server.is_asked(2).await;
    server.stop.cancel();
    assert!(read_to_end(&mut running).await.ends_with("/wait 0"));
    assert!(read_to_end(&mut idle).await.ends_with('x'));
    // Nobody is lingered for any more.
    drop((idle, running));
    assert_eq!(server.task.await.unwrap(), Drained { cut: 0 });
    assert!(TcpStream::connect(server.address).await.is_err(), "nothing listens any more");
}

/// The kernel has taken them, and nobody has accepted them yet.
#[tokio::test]
async fn who_has_connected_before_the_stop_is_answered() {
    let listener = Listener::bind_tcp("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_address().unwrap();
    let waiting: Vec<_> = (0..20)
        .map(|_| {
            let mut socket = std::net::TcpStream::connect(address).unwrap();
            std::io::Write::write_all(&mut socket, b"GET /2 HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
            socket.set_nonblocking(true).unwrap();
            TcpStream::from_std(socket).unwrap()
        })
        .collect();
    let stop = CancellationToken::new();
    stop.cancel();
    let metrics = ConnectionMetrics::register(&mut Registry::default());
    let options = ServeOptions { name: ListenerName::Device, limits: relaxed(), metrics, tls: None };
    let task = tokio::spawn(serve(listener, Toy::default(), options, stop));
    for mut socket in waiting {
        assert!(read_to_end(&mut socket).await.ends_with("xx"));
    }
    assert_eq!(task.await.unwrap(), Drained { cut: 0 });
}

#[tokio::test]
async fn what_does_not_finish_in_time_is_cut() {
    let limits = Limits { drain_timeout: Duration::from_millis(300), ..Limits::default() };
    let server = start(limits);
    let mut stuck = server.connect().await;
    stuck.write_all(b"GET /80000000 HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    server.is_asked(1).await;
    server.stop.cancel();
    let drained = tokio::time::timeout(Duration::from_secs(60), server.task).await.unwrap().unwrap();
    assert_eq!(drained, Drained { cut: 1 });
}

#[tokio::test]
async fn a_unix_socket_tells_the_uid_and_replaces_only_a_stale_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("admin.sock");
    let remove = |path: &std::path::Path| std::fs::remove_file(path);
    let first = Listener::bind_unix(&path, remove).await.unwrap();
    assert!(matches!(Listener::bind_unix(&path, remove).await, Err(BindError::Taken { .. })));
    drop(first);
    let second = Listener::bind_unix(&path, remove).await.unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);

    let stop = CancellationToken::new();
    let metrics = ConnectionMetrics::register(&mut Registry::default());
    let options = ServeOptions { name: ListenerName::Socket, limits: relaxed(), metrics, tls: None };
    let task = tokio::spawn(serve(second, Toy::default(), options, stop.clone()));
    let mut socket = tokio::net::UnixStream::connect(&path).await.unwrap();
    socket.write_all(b"GET /2 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("xx"), "{answer}");
    drop(socket);
    stop.cancel();
    task.await.unwrap();

    let file = directory.path().join("file");
    std::fs::write(&file, "kept").unwrap();
    assert!(matches!(Listener::bind_unix(&file, remove).await, Err(BindError::NotASocket { .. })));
    assert_eq!(std::fs::read(&file).unwrap(), b"kept");
}
