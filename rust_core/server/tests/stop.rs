//! Starting and stopping, with peers that help and peers that do not.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use promosvc_server::Server;
use support::{Client, PATIENCE, RECOMMEND, framed, is_serving, parsed, run, start, status};

/// Longer than any bounded stop of these tests, shorter than the grace given.
const SOON: Duration = Duration::from_secs(10);

#[test]
fn a_port_that_is_taken_is_an_error_with_a_name() {
    let (server, root) = start(|_| {});
    let mut config = support::config(root.path());
    config["server"]["port"] = server.address().port().into();
    let error = Server::start(parsed(&config)).err().expect("refused");
    assert_eq!(error.reason, "ADDRESS_IN_USE");
    assert!(
        error.message.contains(&server.address().to_string()),
        "{error}"
    );
    assert!(server.stop(Duration::ZERO).expect("not forked"));
    Server::start(parsed(&config)).expect("the port is free again");
}

#[test]
fn a_wrong_placement_is_refused_at_the_start() {
    let root = support::published();
    let mut config = support::config(root.path());
    config["placements"]["home"]["page_size"] = 0.into();
    let error = Server::start(parsed(&config)).err().expect("refused");
    assert_eq!(error.field, "placements.home.page_size", "{error}");
}

#[test]
fn calls_in_flight_finish_and_new_connections_are_refused() {
    let (server, _root) = start(|_| {});
    let address = server.address();
    run(async {
        let client = Client::connect(address).await;
        let mut call = client.open(RECOMMEND, &[]).await;
        support::eventually("the call is in flight", async || {
            status(&client).await.in_flight_calls == 1
        })
        .await;
        let stopping = std::thread::spawn(move || server.stop(PATIENCE).expect("not forked"));
        // GOAWAY has come when the client may open no further call.
        support::eventually("the connection takes no new call", async || {
            match client.try_open(RECOMMEND, &[]).await {
                Ok(mut call) => {
                    call.stream.send_reset(h2::Reason::CANCEL);
                    false
                }
                Err(_) => true,
            }
        })
        .await;
        TcpStream::connect(address).expect_err("nobody listens");
        call.stream.send_data(framed(&[]), true).expect("sends");
        assert_eq!(call.answer().await.code, 0);
        tokio::task::spawn_blocking(move || assert!(stopping.join().expect("no panic")))
            .await
            .expect("no panic");
    });
}

#[test]
fn a_call_that_never_ends_is_cut_at_the_end_of_the_grace() {
    let (server, _root) = start(|_| {});
    run(async {
        let client = Client::connect(server.address()).await;
        let call = client.open(RECOMMEND, &[]).await;
        support::eventually("the call is in flight", async || {
            status(&client).await.in_flight_calls == 1
        })
        .await;
        let began = Instant::now();
        let finished = tokio::task::spawn_blocking(move || {
            server.stop(Duration::from_millis(200)).expect("not forked")
        })
        .await
        .expect("no panic");
        assert!(!finished, "the call was cut");
        assert!(began.elapsed() < SOON);
        call.try_answer().await.expect_err("cut");
    });
}

#[test]
fn a_second_stop_shortens_the_first() {
    let (server, _root) = start(|_| {});
    run(async {
        let client = Client::connect(server.address()).await;
        let _call = client.open(RECOMMEND, &[]).await;
        support::eventually("the call is in flight", async || {
            status(&client).await.in_flight_calls == 1
        })
        .await;
        let began = Instant::now();
        let server = std::sync::Arc::new(server);
        let first = {
            let server = std::sync::Arc::clone(&server);
            std::thread::spawn(move || server.stop(PATIENCE).expect("not forked"))
        };
        support::eventually("the drain has begun", async || {
            client.try_open(RECOMMEND, &[]).await.is_err()
        })
        .await;
        tokio::task::spawn_blocking(move || {
            assert!(!server.stop(Duration::ZERO).expect("not forked"));
            assert!(!first.join().expect("no panic"));
        })
        .await
        .expect("no panic");
        assert!(began.elapsed() < SOON);
    });
}

/// Preface and empty SETTINGS, then silence: the peer answers neither SETTINGS nor PING.
fn silent_peer(server: &Server) -> TcpStream {
    let mut peer = TcpStream::connect(server.address()).expect("connects");
    peer.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .expect("writes");
    // The server's own SETTINGS show that the handshake is over.
    peer.read_exact(&mut [0; 9]).expect("reads");
    peer
}

#[test]
fn peers_that_hang_do_not_hold_up_the_stop() {
    let (server, _root) = start(|_| {});
    let mute = TcpStream::connect(server.address()).expect("connects");
    let silent: Vec<_> = (0..20).map(|_| silent_peer(&server)).collect();
    let began = Instant::now();
    // None of them has a call open, so nothing is lost.
    assert!(server.stop(PATIENCE).expect("not forked"));
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    drop((mute, silent));
}

#[test]
fn a_stopped_server_says_so_twice() {
    let (server, _root) = start(|config| config["server"]["workers"] = 3.into());
    assert!(server.stop(Duration::ZERO).expect("not forked"));
    assert!(server.stop(PATIENCE).expect("not forked"));
}

#[test]
fn a_peer_that_never_shakes_hands_is_dropped() {
    let (server, _root) = start(|config| config["server"]["handshake_seconds_max"] = 1.into());
    let mut mute = TcpStream::connect(server.address()).expect("connects");
    mute.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut rest = Vec::new();
    // The server's SETTINGS, then the end of the stream; without the limit this read would time out.
    mute.read_to_end(&mut rest).expect("the server closes");
}

#[test]
fn an_idle_peer_is_told_to_go_and_then_dropped() {
    let (server, _root) = start(|config| config["server"]["idle_seconds_max"] = 1.into());
    let mut peer = silent_peer(&server);
    peer.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut rest = Vec::new();
    peer.read_to_end(&mut rest).expect("the server closes");
    // GOAWAY: type 7, stream 0.
    assert!(
        rest.windows(6).any(|window| window == [7, 0, 0, 0, 0, 0]),
        "{rest:?}"
    );
    run(async {
        let client = Client::connect(server.address()).await;
        let mut call = client.open(RECOMMEND, &[]).await;
        // A peer with a call open is not idle, however long the call takes.
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        call.stream.send_data(framed(&[]), true).expect("sends");
        assert_eq!(call.answer().await.code, 0);
    });
}

#[test]
fn one_connection_too_many_is_closed() {
    let (server, _root) = start(|config| config["server"]["connections_max"] = 2.into());
    run(async {
        let near = Client::connect(server.address()).await;
        let far = Client::connect(server.address()).await;
        assert!(is_serving(&near).await && is_serving(&far).await);
        let mut third = TcpStream::connect(server.address()).expect("the system accepts");
        third.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let read = third.read(&mut [0; 1]);
        assert!(matches!(read, Ok(0) | Err(_)), "closed, not served");
        drop(far);
        support::eventually("there is room again", async || {
            let mut again = TcpStream::connect(server.address()).expect("connects");
            again.set_read_timeout(Some(PATIENCE)).expect("a timeout");
            matches!(again.read(&mut [0; 1]), Ok(1))
        })
        .await;
    });
}

#[test]
fn connections_spread_over_the_workers() {
    let (server, _root) = start(|config| config["server"]["workers"] = 2.into());
    run(async {
        let mut clients = Vec::new();
        for _ in 0..8 {
            let client = Client::connect(server.address()).await;
            assert!(is_serving(&client).await);
            clients.push(client);
        }
        for client in &clients {
            assert_eq!(client.call_bytes(RECOMMEND, &[], &[]).await.code, 0);
        }
    });
    assert!(server.stop(PATIENCE).expect("not forked"));
}
