//! Peers that mean harm: the server drops them and goes on.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;

use support::{CHECK, Client, PATIENCE, RECOMMEND, is_serving, run, start, status};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// One HTTP/2 frame.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The header block of a call, all literals.
fn head(method: &str) -> Vec<u8> {
    let mut block = vec![0x83, 0x86];
    let mut literal = |index: &[u8], value: &str| {
        block.extend(index);
        block.push(value.len() as u8);
        block.extend(value.as_bytes());
    };
    literal(&[0x04], method);
    literal(&[0x01], "near");
    literal(&[0x0f, 0x10], "application/grpc");
    block
}

#[test]
fn ten_thousand_rapid_resets() {
    let (server, _root) = start(|_| {});
    let mut peer = TcpStream::connect(server.address()).expect("connects");
    peer.write_all(PREFACE).expect("writes");
    let head = head(RECOMMEND);
    let mut sent = 0;
    for stream in (1..20_001_u32).step_by(2) {
        let opened = frame(1, 4, stream, &head);
        let reset = frame(3, 0, stream, &[0, 0, 0, 8]);
        if peer.write_all(&[opened, reset].concat()).is_err() {
            // The server has had enough, which is its right.
            break;
        }
        sent += 1;
    }
    assert!(sent > 0);
    run(async {
        let client = Client::connect(server.address()).await;
        assert!(is_serving(&client).await);
        support::eventually("nothing in flight", async || {
            status(&client).await.in_flight_calls == 0
        })
        .await;
        assert_eq!(client.call_bytes(RECOMMEND, &[], &[]).await.code, 0);
    });
    drop(peer);
    assert!(server.stop(PATIENCE).expect("not forked"));
}

#[test]
fn bytes_that_are_no_http2() {
    let (server, _root) = start(|_| {});
    let hostile: [&[u8]; 5] = [
        b"GET / HTTP/1.1\r\nHost: near\r\n\r\n",
        &[0xff; 4_096],
        // A SETTINGS frame of a length that no SETTINGS has.
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x05\x04\0\0\0\0\0\0\0\0\0\0",
        // DATA on a stream that was never opened.
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x01\0\0\0\0\0\x01\0",
        // A header block that is cut off inside a literal.
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x02\x01\x04\0\0\0\x01\x04\x7f",
    ];
    for bytes in hostile {
        let mut peer = TcpStream::connect(server.address()).expect("connects");
        peer.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let _ = peer.write_all(bytes);
        let mut rest = Vec::new();
        // Closed with or without a GOAWAY first; a server that waited would run into the timeout.
        if let Err(error) = peer.read_to_end(&mut rest) {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
        }
    }
    run(async {
        assert!(is_serving(&Client::connect(server.address()).await).await);
    });
}

#[test]
fn a_header_list_over_the_limit_is_refused() {
    let (server, _root) = start(|config| config["server"]["header_bytes_max"] = 2_048.into());
    run(async {
        let client = Client::connect(server.address()).await;
        let long = "n".repeat(4_096);
        let call = client.try_open(CHECK, &[("near", &long)]).await;
        let refused = match call {
            Err(_) => true,
            Ok(call) => match call.try_answer().await {
                Err(_) => true,
                Ok(answer) => answer.http == 431,
            },
        };
        assert!(refused);
        let client = Client::connect(server.address()).await;
        assert!(is_serving(&client).await);
    });
}

#[test]
fn streams_over_the_limit_are_refused_by_http2() {
    let (server, _root) = start(|config| config["server"]["streams_per_connection_max"] = 2.into());
    let mut peer = TcpStream::connect(server.address()).expect("connects");
    peer.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let head = head(RECOMMEND);
    let frames: Vec<u8> = [1, 3, 5]
        .into_iter()
        .flat_map(|stream| frame(1, 4, stream, &head))
        .collect();
    peer.write_all(&[PREFACE, &frames].concat())
        .expect("writes");
    // Reads frames until the RST_STREAM of the third call.
    loop {
        let mut header = [0; 9];
        peer.read_exact(&mut header).expect("a frame");
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]) as usize;
        let mut payload = vec![0; length];
        peer.read_exact(&mut payload).expect("a payload");
        if header[3] == 3 {
            assert_eq!(header[5..], [0, 0, 0, 5]);
            assert_eq!(payload, [0, 0, 0, 7], "REFUSED_STREAM");
            break;
        }
    }
}
