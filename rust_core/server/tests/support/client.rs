//! A gRPC client of a few lines over `h2`, which can also do what a good client never does.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use bytes::{BufMut, Bytes, BytesMut};
use h2::SendStream;
use h2::client::{ResponseFuture, SendRequest};
use http::{HeaderMap, Request};
use prost::Message;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// One HTTP/2 connection.
pub struct Client {
    sender: SendRequest<Bytes>,
    address: SocketAddr,
    /// Ends when the connection does.
    pub connection: JoinHandle<Result<(), h2::Error>>,
}

/// What came back.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub http: u16,
    /// `grpc-status`; -1 if there was none.
    pub code: i32,
    pub message: String,
    pub metadata: BTreeMap<String, String>,
    pub messages: Vec<Bytes>,
}

/// A call whose request is not ended.
pub struct OpenCall {
    pub stream: SendStream<Bytes>,
    response: ResponseFuture,
}

impl Client {
    pub async fn connect(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).await.expect("connects");
        let (sender, connection) = h2::client::handshake(socket).await.expect("handshake");
        Self {
            sender,
            address,
            connection: tokio::spawn(connection),
        }
    }

    /// Calls with an encoded message.
    pub async fn call_bytes(
        &self,
        method: &str,
        message: &[u8],
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut call = self.open(method, headers).await;
        let _ = call.stream.send_data(framed(message), true);
        call.answer().await
    }

    /// Calls and decodes an OK answer.
    pub async fn call<Response: Message + Default>(
        &self,
        method: &str,
        message: &impl Message,
    ) -> Result<Response, Answer> {
        let answer = self.call_bytes(method, &message.encode_to_vec(), &[]).await;
        match (answer.code, answer.messages.as_slice()) {
            (0, [message]) => Ok(Response::decode(message.clone()).expect("the answer decodes")),
            _ => Err(answer),
        }
    }

    /// Opens a call without a message.
    pub async fn open(&self, method: &str, headers: &[(&str, &str)]) -> OpenCall {
        self.try_open(method, headers).await.expect("a stream")
    }

    pub async fn try_open(
        &self,
        method: &str,
        headers: &[(&str, &str)],
    ) -> Result<OpenCall, h2::Error> {
        let mut request = Request::builder()
            .method("POST")
            .uri(format!("http://{}{method}", self.address));
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/grpc");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(()).expect("a request")).await
    }

    /// Sends any head at all.
    pub async fn send(&self, request: Request<()>) -> Result<OpenCall, h2::Error> {
        let mut sender = self.sender.clone().ready().await?;
        let (response, stream) = sender.send_request(request, false)?;
        Ok(OpenCall { stream, response })
    }

    /// The address, for requests of one's own.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl OpenCall {
    /// Waits for the end of the answer.
    pub async fn answer(self) -> Answer {
        self.try_answer().await.expect("an answer")
    }

    pub async fn try_answer(self) -> Result<Answer, h2::Error> {
        // Dropping the request's side would take the call back.
        let Self {
            stream: _stream,
            response,
        } = self;
        let (head, mut body) = response.await?.into_parts();
        let mut answer = Answer {
            http: head.status.as_u16(),
            code: -1,
            ..Answer::default()
        };
        answer.read(&head.headers);
        let mut bytes = BytesMut::new();
        while let Some(chunk) = body.data().await {
            let chunk = chunk?;
            body.flow_control().release_capacity(chunk.len())?;
            bytes.extend_from_slice(&chunk);
        }
        if let Some(trailers) = body.trailers().await? {
            answer.read(&trailers);
        }
        answer.messages = split(bytes.freeze());
        Ok(answer)
    }

    /// The answer's messages one by one.
    pub async fn messages(self) -> Messages {
        let (head, body) = self.response.await.expect("a head").into_parts();
        let mut answer = Answer {
            http: head.status.as_u16(),
            code: -1,
            ..Answer::default()
        };
        answer.read(&head.headers);
        Messages {
            stream: self.stream,
            body,
            bytes: BytesMut::new(),
            answer,
        }
    }
}

/// A streaming answer.
pub struct Messages {
    pub stream: SendStream<Bytes>,
    body: h2::RecvStream,
    bytes: BytesMut,
    answer: Answer,
}

impl Messages {
    /// The next message, or `None` at the end.
    pub async fn next<Response: Message + Default>(&mut self) -> Option<Response> {
        loop {
            if let Some((&[_, a, b, c, d], _)) = self.bytes.split_first_chunk::<5>() {
                let length = u32::from_be_bytes([a, b, c, d]) as usize;
                if self.bytes.len() >= 5 + length {
                    let message = self.bytes.split_to(5 + length).freeze().slice(5..);
                    return Some(Response::decode(message).expect("decodes"));
                }
            }
            let chunk = self.body.data().await?.expect("data");
            let _ = self.body.flow_control().release_capacity(chunk.len());
            self.bytes.extend_from_slice(&chunk);
        }
    }

    /// Status after the last message.
    pub async fn end(mut self) -> Answer {
        if let Some(trailers) = self.body.trailers().await.expect("trailers") {
            self.answer.read(&trailers);
        }
        self.answer
    }
}

impl Answer {
    fn read(&mut self, headers: &HeaderMap) {
        for (name, value) in headers {
            let value = value.to_str().expect("ASCII").to_owned();
            match name.as_str() {
                "grpc-status" => self.code = value.parse().expect("a number"),
                "grpc-message" => self.message = percent_decoded(&value),
                name => {
                    self.metadata.insert(name.to_owned(), value);
                }
            }
        }
    }

    /// The raw bytes of `grpc-status-details-bin`.
    pub fn details(&self) -> Vec<u8> {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD_NO_PAD
            .decode(&self.metadata["grpc-status-details-bin"])
            .expect("base64")
    }
}

/// A message behind its prefix.
pub fn framed(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(5 + message.len());
    frame.put_u8(0);
    frame.put_u32(message.len() as u32);
    frame.put_slice(message);
    frame.freeze()
}

fn split(mut bytes: Bytes) -> Vec<Bytes> {
    let mut messages = Vec::new();
    while let Some((&[_, a, b, c, d], _)) = bytes.split_first_chunk::<5>() {
        let mut message = bytes.split_to(5 + u32::from_be_bytes([a, b, c, d]) as usize);
        messages.push(message.split_off(5));
    }
    assert!(bytes.is_empty(), "bytes are left over");
    messages
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte == b'%' {
            let hex = std::str::from_utf8(&rest[..2]).expect("hex");
            bytes.push(u8::from_str_radix(hex, 16).expect("hex"));
            rest = &rest[2..];
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).expect("UTF-8")
}
