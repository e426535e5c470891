//! The calls that last.

mod support;

use std::time::Duration;

use prost::Message;
use prost_types::FileDescriptorProto;
use support::wire::health::{HealthCheckRequest, HealthCheckResponse};
use support::wire::reflection::server_reflection_request::MessageRequest;
use support::wire::reflection::server_reflection_response::MessageResponse;
use support::wire::reflection::{ServerReflectionRequest, ServerReflectionResponse};
use support::{Client, PATIENCE, WATCH, framed, is_serving, publish, run, snapshot, start};

#[test]
fn watch_tells_each_change_and_ends_with_the_drain() {
    // The server starts without a snapshot.
    let root = tempfile::tempdir().expect("a directory");
    let config = support::config(root.path());
    let server = promosvc_server::Server::start(support::parsed(&config)).expect("starts");
    run(async {
        let client = Client::connect(server.address()).await;
        let mut promo = client.open(WATCH, &[]).await;
        let request = HealthCheckRequest {
            service: "promosvc.v1.PromoService".to_owned(),
        };
        promo
            .stream
            .send_data(framed(&request.encode_to_vec()), true)
            .expect("sends");
        let mut promo = promo.messages().await;
        let mut far = client.open(WATCH, &[]).await;
        let request = HealthCheckRequest {
            service: "far".to_owned(),
        };
        far.stream
            .send_data(framed(&request.encode_to_vec()), true)
            .expect("sends");
        let mut far = far.messages().await;
        let unknown: HealthCheckResponse = far.next().await.expect("a status");
        assert_eq!(unknown.status, 3, "SERVICE_UNKNOWN");

        let not_yet: HealthCheckResponse = promo.next().await.expect("a status");
        assert_eq!(not_yet.status, 2, "NOT_SERVING");
        let directory = snapshot::random::example().write(root.path());
        publish(root.path(), &directory);
        let serving: HealthCheckResponse = promo.next().await.expect("a change");
        assert_eq!(serving.status, 1, "SERVING");

        let stopping = std::thread::spawn(move || server.stop(PATIENCE).expect("not forked"));
        let draining: HealthCheckResponse = promo.next().await.expect("a change");
        assert_eq!(draining.status, 2, "NOT_SERVING");
        assert!(promo.next::<HealthCheckResponse>().await.is_none());
        assert_eq!(promo.end().await.code, 14);
        while far.next::<HealthCheckResponse>().await.is_some() {}
        assert_eq!(far.end().await.code, 14);
        // Nobody holds up the drain.
        tokio::task::spawn_blocking(move || assert!(stopping.join().expect("no panic")))
            .await
            .expect("no panic");
    });
}

#[test]
fn a_watch_that_never_asks_ends_with_the_drain() {
    let (server, _root) = start(|_| {});
    run(async {
        let client = Client::connect(server.address()).await;
        let call = client.open(WATCH, &[]).await;
        // Calls of one connection are accepted in order.
        assert!(is_serving(&client).await);
        let stopping = std::thread::spawn(move || server.stop(PATIENCE).expect("not forked"));
        assert_eq!(call.answer().await.code, 14);
        tokio::task::spawn_blocking(move || assert!(stopping.join().expect("no panic")))
            .await
            .expect("no panic");
    });
}

#[test]
fn reflection_answers_under_both_names() {
    let (server, _root) = start(|_| {});
    run(async {
        let client = Client::connect(server.address()).await;
        for version in ["v1", "v1alpha"] {
            let method =
                format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
            let mut call = client.open(&method, &[]).await;
            let ask = |request| {
                framed(
                    &ServerReflectionRequest {
                        host: String::new(),
                        message_request: Some(request),
                    }
                    .encode_to_vec(),
                )
            };
            let list = ask(MessageRequest::ListServices(String::new()));
            call.stream.send_data(list, false).expect("sends");
            let mut answers = call.messages().await;
            let services: ServerReflectionResponse = answers.next().await.expect("services");
            let Some(MessageResponse::ListServicesResponse(list)) = services.message_response
            else {
                panic!("{services:?}");
            };
            let names: Vec<_> = list
                .service
                .iter()
                .map(|service| service.name.as_str())
                .collect();
            assert!(names.contains(&"promosvc.v1.PromoService"), "{names:?}");
            assert!(
                names.contains(&format!("grpc.reflection.{version}.ServerReflection").as_str())
            );

            // The same stream goes on: each service that is listed can be described.
            for name in names {
                let symbol = ask(MessageRequest::FileContainingSymbol(name.to_owned()));
                answers.stream.send_data(symbol, false).expect("sends");
                let file: ServerReflectionResponse = answers.next().await.expect("a file");
                let Some(MessageResponse::FileDescriptorResponse(files)) = file.message_response
                else {
                    panic!("{file:?}");
                };
                let first = FileDescriptorProto::decode(files.file_descriptor_proto[0].as_slice())
                    .expect("a descriptor");
                let (package, service) = name.rsplit_once('.').expect("a package");
                assert_eq!(first.package(), package);
                assert!(first.service.iter().any(|known| known.name() == service));
            }
            answers
                .stream
                .send_data(bytes::Bytes::new(), true)
                .expect("ends");
            assert!(answers.next::<ServerReflectionResponse>().await.is_none());
            assert_eq!(answers.end().await.code, 0);
        }
    });
    assert!(server.stop(Duration::from_secs(10)).expect("not forked"));
}

#[test]
fn reflection_refuses_what_is_no_question() {
    let (server, _root) = start(|_| {});
    run(async {
        let client = Client::connect(server.address()).await;
        let method = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
        let answer = client.call_bytes(method, &[0xff], &[]).await;
        assert_eq!(answer.code, 3, "{}", answer.message);
    });
}
