//! A real server, a real client: what the wire adds to the door.

mod support;

use bytes::Bytes;
use http::Request;
use prost::Message;
use support::wire::health::{HealthCheckRequest, HealthCheckResponse, HealthListResponse};
use support::wire::promosvc::v1 as wire;
use support::{
    Answer, CHECK, Client, GET_FEATURES, GET_STATUS, LIST, RECOMMEND, SET_CLOCK, framed,
    is_serving, run, start, status,
};

#[test]
fn both_doors_say_the_same() {
    let (server, _root) = start(|_| {});
    run(async {
        let client = Client::connect(server.address()).await;
        let user = |user_id: &str, page_size: i32, placement: &str| {
            wire::RecommendRequest {
                user: Some(wire::UserContext {
                    user_id: user_id.to_owned(),
                    ..Default::default()
                }),
                page_size,
                placement: placement.to_owned(),
                ..Default::default()
            }
            .encode_to_vec()
        };
        let features = |kind: i32| {
            wire::GetFeaturesRequest {
                entity_kind: kind,
                entity_keys: vec![wire::EntityKey {
                    entity_id: "user-0".to_owned(),
                    category: String::new(),
                }],
                views: vec![],
            }
            .encode_to_vec()
        };
        let calls = [
            (RECOMMEND, user("user-0", 0, "")),
            (RECOMMEND, user("user-1", 100, "home")),
            (RECOMMEND, user("f\u{e4}r", 5, "")),
            (RECOMMEND, user("user-0", 500, "")),
            (RECOMMEND, user("user-0", 1, "50 % \u{1f600}")),
            (RECOMMEND, vec![0xff]),
            (GET_FEATURES, features(1)),
            (GET_FEATURES, features(9)),
            (SET_CLOCK, vec![]),
            (CHECK, vec![]),
            (
                CHECK,
                HealthCheckRequest {
                    service: "far".to_owned(),
                }
                .encode_to_vec(),
            ),
            (LIST, vec![]),
            ("/far.Service/Method", vec![]),
        ];
        for (method, request) in calls {
            let direct = server.door().call(method, &request, &[], None);
            let wired = client.call_bytes(method, &request, &[]).await;
            assert_eq!(wired.http, 200);
            assert_eq!(
                (wired.code, &wired.message),
                (direct.code, &direct.message),
                "{method}"
            );
            if direct.code == 0 {
                assert_eq!(wired.messages, [Bytes::from(direct.response)], "{method}");
                assert!(!wired.metadata.contains_key("grpc-status-details-bin"));
            } else {
                assert!(wired.messages.is_empty());
                let (_, details) = direct.trailing_metadata.last().expect("details");
                assert_eq!(&wired.details(), details, "{method}");
            }
        }
    });
    assert!(server.stop(support::PATIENCE).expect("not forked"));
}

#[test]
fn health_is_told() {
    let (server, _root) = start(|_| {});
    run(async {
        let client = Client::connect(server.address()).await;
        assert!(is_serving(&client).await);
        let all: HealthListResponse = client
            .call(LIST, &support::wire::health::HealthListRequest {})
            .await
            .expect("a list");
        assert_eq!(all.statuses.len(), 3);
        assert!(all.statuses.values().all(|status| status.status == 1));
        let service = HealthCheckRequest {
            service: "far".to_owned(),
        };
        let unknown: Result<HealthCheckResponse, Answer> = client.call(CHECK, &service).await;
        assert_eq!(unknown.expect_err("unknown").code, 5);
    });
}

#[test]
fn messages_may_come_in_pieces() {
    let (server, _root) = start(|_| {});
    run(async {
        let client = Client::connect(server.address()).await;
        let request = wire::RecommendRequest {
            exclude_item_ids: (0..1_000).map(|at| format!("{at:0>100}")).collect(),
            ..Default::default()
        };
        let bytes = framed(&request.encode_to_vec());
        let whole = client
            .call_bytes(RECOMMEND, &request.encode_to_vec(), &[])
            .await;
        let mut call = client.open(RECOMMEND, &[]).await;
        for piece in bytes.chunks(7_001) {
            call.stream
                .send_data(Bytes::copy_from_slice(piece), false)
                .expect("sends");
        }
        call.stream.send_data(Bytes::new(), true).expect("sends");
        let pieces = call.answer().await;
        assert_eq!((pieces.code, whole.code), (0, 0), "{}", pieces.message);
        assert_eq!(pieces.messages, whole.messages);
    });
}

#[test]
fn a_message_over_four_mebibytes_is_refused_for_good() {
    let (server, _root) = start(|_| {});
    run(async {
        let client = Client::connect(server.address()).await;
        let mut call = client.open(RECOMMEND, &[]).await;
        // The prefix alone is enough to know.
        let length = (4 * 1024 * 1024 + 1_u32).to_be_bytes();
        let prefix = [&[0][..], &length].concat();
        call.stream
            .send_data(Bytes::from(prefix), false)
            .expect("sends");
        let answer = call.answer().await;
        assert_eq!(answer.code, 8, "{}", answer.message);
        assert!(answer.message.contains("4194305"), "{}", answer.message);
        assert!(!answer.metadata.contains_key("grpc-retry-pushback-ms"));
        assert!(is_serving(&client).await, "the connection goes on");
    });
}

#[test]
fn a_message_of_exactly_four_mebibytes_is_read() {
    let (server, _root) = start(|_| {});
    run(async {
        let client = Client::connect(server.address()).await;
        // One unknown field (number 15) that fills the message.
        let mut message = vec![0x7a, 0xfb, 0xff, 0xff, 0x01];
        message.resize(4 * 1024 * 1024, 0);
        let answer = client.call_bytes(RECOMMEND, &message, &[]).await;
        assert_eq!(answer.code, 0, "{}", answer.message);
    });
}

#[test]
fn compression_is_refused_with_what_is_known() {
    let (server, _root) = start(|_| {});
    run(async {
        let client = Client::connect(server.address()).await;
        let answer = client
            .call_bytes(RECOMMEND, &[], &[("grpc-encoding", "gzip")])
            .await;
        assert_eq!(answer.code, 12, "{}", answer.message);
        assert_eq!(answer.metadata["grpc-accept-encoding"], "identity");
        let mut call = client.open(RECOMMEND, &[]).await;
        call.stream
            .send_data(Bytes::from_static(&[1, 0, 0, 0, 0]), true)
            .expect("sends");
        assert_eq!(call.answer().await.code, 12);
        let identity = [("grpc-encoding", "identity")];
        assert_eq!(client.call_bytes(CHECK, &[], &identity).await.code, 0);
    });
}

#[test]
fn a_unary_call_has_exactly_one_message() {
    let (server, _root) = start(|_| {});
    run(async {
        let client = Client::connect(server.address()).await;
        let mut none = client.open(CHECK, &[]).await;
        none.stream.send_data(Bytes::new(), true).expect("sends");
        assert_eq!(none.answer().await.code, 12);
        let mut two = client.open(CHECK, &[]).await;
        let bytes = [framed(&[]), framed(&[])].concat();
        two.stream.send_data(bytes.into(), true).expect("sends");
        assert_eq!(two.answer().await.code, 12);
        let mut half = client.open(CHECK, &[]).await;
        let bytes = Bytes::from_static(&[0, 0, 0, 0, 9, 1]);
        half.stream.send_data(bytes, true).expect("sends");
        let answer = half.answer().await;
        assert_eq!(answer.code, 3, "{}", answer.message);
    });
}

#[test]
fn deadlines_are_kept() {
    let (server, _root) = start(|_| {});
    run(async {
        let client = Client::connect(server.address()).await;
        let timeout = |value| [("grpc-timeout", value)];
        let passed = client.call_bytes(RECOMMEND, &[], &timeout("0n")).await;
        assert_eq!(passed.code, 4, "{}", passed.message);
        let ample = client.call_bytes(RECOMMEND, &[], &timeout("1H")).await;
        assert_eq!(ample.code, 0, "{}", ample.message);
        let malformed = client.call_bytes(RECOMMEND, &[], &timeout("soon")).await;
        assert_eq!(malformed.code, 3, "{}", malformed.message);
        // The message never comes; the deadline ends the wait.
        let late = client.open(RECOMMEND, &timeout("20m")).await;
        assert_eq!(late.answer().await.code, 4);
        assert_eq!(status(&client).await.in_flight_calls, 0);
    });
}

#[test]
fn what_is_not_grpc_gets_an_http_status() {
    let (server, _root) = start(|_| {});
    run(async {
        let client = Client::connect(server.address()).await;
        let json = [("content-type", "application/json")];
        let answer = client.open(CHECK, &json).await.answer().await;
        assert_eq!((answer.http, answer.code), (415, -1));
        let get = Request::get(format!("http://{}{CHECK}", client.address()))
            .body(())
            .expect("a request");
        let answer = client.send(get).await.expect("a stream").answer().await;
        assert_eq!(answer.http, 405);
        assert_eq!(answer.metadata["allow"], "POST");
    });
}

#[test]
fn too_many_calls_are_shed_and_may_come_back() {
    let (server, _root) = start(|config| config["server"]["in_flight_calls_max"] = 3.into());
    run(async {
        let client = Client::connect(server.address()).await;
        let mut open = Vec::new();
        for _ in 0..3 {
            open.push(client.open(RECOMMEND, &[]).await);
        }
        support::eventually("three calls in flight", async || {
            status(&client).await.in_flight_calls == 3
        })
        .await;
        let shed = client.call_bytes(RECOMMEND, &[], &[]).await;
        assert_eq!(shed.code, 8, "{}", shed.message);
        assert_eq!(shed.metadata["grpc-retry-pushback-ms"], "100");
        let details = shed.details();
        let retry = b"google.rpc.RetryInfo";
        assert!(details.windows(retry.len()).any(|part| part == retry));
        // Health and admin are answered all the same.
        assert!(is_serving(&client).await);
        assert_eq!(client.call_bytes(GET_STATUS, &[], &[]).await.code, 0);
        assert_eq!(status(&client).await.shed_calls, 1);
        for mut call in open {
            call.stream.send_data(framed(&[]), true).expect("sends");
            assert_eq!(call.answer().await.code, 0);
        }
        assert_eq!(client.call_bytes(RECOMMEND, &[], &[]).await.code, 0);
        assert_eq!(status(&client).await.in_flight_calls, 0);
    });
}

/// Hedging clients take back every losing call, on connections that live for days.
#[test]
fn calls_taken_back_wear_nothing_out() {
    let (server, _root) = start(|_| {});
    run(async {
        let client = Client::connect(server.address()).await;
        for _ in 0..30 {
            for _ in 0..100 {
                let mut call = client.open(RECOMMEND, &[]).await;
                call.stream.send_reset(h2::Reason::CANCEL);
            }
            // More than 512 at once would be an attack; these are many over time.
            assert!(is_serving(&client).await);
        }
        support::eventually("nothing in flight", async || {
            status(&client).await.in_flight_calls == 0
        })
        .await;
        assert_eq!(client.call_bytes(RECOMMEND, &[], &[]).await.code, 0);
    });
}

#[test]
fn calls_refused_before_their_message_wear_nothing_out() {
    let (server, _root) = start(|_| {});
    run(async {
        let client = Client::connect(server.address()).await;
        for _ in 0..3_000 {
            let call = client.open("/far.Service/Method", &[]).await;
            assert_eq!(call.answer().await.code, 12);
        }
        assert_eq!(client.call_bytes(RECOMMEND, &[], &[]).await.code, 0);
    });
}

#[test]
fn a_large_answer_waits_for_a_slow_reader() {
    let (server, _root) = start(|_| {});
    run(async {
        let client = Client::connect(server.address()).await;
        // 500 entities of a wide request: more than the 64 KiB that a client's window allows at first.
        let request = wire::GetFeaturesRequest {
            entity_kind: 1,
            entity_keys: (0..500)
                .map(|at| wire::EntityKey {
                    entity_id: format!("user-{at}"),
                    category: String::new(),
                })
                .collect(),
            views: vec!["user_rfm".to_owned(); 100],
        };
        let direct = server
            .door()
            .call(GET_FEATURES, &request.encode_to_vec(), &[], None);
        assert!(direct.response.len() > 500_000, "{}", direct.response.len());
        // As long as nobody reads, the answer's memory counts as a call in flight. The unread bytes fill the
        // window of their connection, so another one asks.
        let other = Client::connect(server.address()).await;
        let mut call = client.open(GET_FEATURES, &[]).await;
        let message = framed(&request.encode_to_vec());
        call.stream.send_data(message, true).expect("sends");
        let unread = call.messages().await;
        assert_eq!(status(&other).await.in_flight_calls, 1);
        drop(unread);
        support::eventually("nothing in flight", async || {
            status(&other).await.in_flight_calls == 0
        })
        .await;
        let wired = client
            .call_bytes(GET_FEATURES, &request.encode_to_vec(), &[])
            .await;
        assert_eq!(wired.code, 0, "{}", wired.message);
        assert_eq!(wired.messages, [Bytes::from(direct.response)]);
    });
}
