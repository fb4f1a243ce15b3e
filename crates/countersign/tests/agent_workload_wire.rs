//! The agent's Workload API in raw bytes: what clients of other makes send, and what nobody should.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod agent_scene;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use agent_scene::{Scene, eventually};
use countersign::agent::{Agent, AgentOptions};
use countersign::spiffe::workload_api::framing::frame;
use countersign::spiffe::workload_api::proto::{JwtSvidRequest, JwtSvidResponse, X509SvidResponse};
use loona_hpack::{Decoder, Encoder};
use prost::Message;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const PRIORITY: u8 = 0x20;

const ENHANCE_YOUR_CALM: u32 = 11;

fn options(scene: &Scene) -> AgentOptions {
    let uid = rustix::process::geteuid().as_raw();
    let rules = format!(
        "[workload_api]\ntrust_domain = \"example.org\"\nx509_svid_ttl = 2\n[[rule]]\nmatch = {{ uid = {uid} }}\nspiffe_id = \"spiffe://example.org/a\"\n"
    );
    scene.options(&rules).workload_socket(scene.path("workload.sock")).state_in_memory()
}

fn start(scene: &Scene) -> Agent {
    Agent::start(options(scene)).unwrap()
}

fn frame_of(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

struct Client {
    socket: UnixStream,
    encoder: Encoder<'static>,
    decoder: Decoder<'static>,
    stream: u32,
}

#[derive(Debug, Default)]
struct Answer {
    http: Option<String>,
    grpc: Option<String>,
    message: String,
    body: Vec<u8>,
}

enum Heard {
    Frame(u8, u8, u32, Vec<u8>),
    /// The connection is over, perhaps with a reason.
    Over,
}

fn fields(pairs: &[(&str, &str)]) -> Vec<(Vec<u8>, Vec<u8>)> {
    pairs.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
}

const FETCH: &str = "/SpiffeWorkloadAPI/FetchJWTSVID";

/// The fields of a good request, in the order of the C library's gRPC.
fn good<'a>(path: &'a str, authority: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        (":path", path),
        (":authority", authority),
        (":method", "POST"),
        (":scheme", "http"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("workload.spiffe.io", "true"),
        ("user-agent", "grpc-c/58.0.0 (linux; chttp2)"),
    ]
}

fn request() -> Vec<u8> {
    frame(&JwtSvidRequest { audience: vec!["shop".into()], spiffe_id: String::new() }).to_vec()
}

impl Client {
    fn connect(agent: &Agent) -> Client {
        Client::with_settings(agent, &[])
    }

    fn with_settings(agent: &Agent, settings: &[u8]) -> Client {
        let mut socket = UnixStream::connect(agent.workload_socket_path().unwrap()).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        socket.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
        socket.write_all(&frame_of(SETTINGS, 0, 0, settings)).unwrap();
        Client { socket, encoder: Encoder::new(), decoder: Decoder::new(), stream: 1 }
    }

    fn send(&mut self, bytes: &[u8]) -> bool {
        self.socket.write_all(bytes).is_ok()
    }

    fn block(&mut self, pairs: &[(&str, &str)]) -> Vec<u8> {
        let fields = fields(pairs);
        self.encoder.encode(fields.iter().map(|(name, value)| (&name[..], &value[..])))
    }

    fn hear(&mut self) -> Heard {
        let mut head = [0; 9];
        if self.socket.read_exact(&mut head).is_err() {
            return Heard::Over;
        }
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; length];
        if self.socket.read_exact(&mut payload).is_err() {
            return Heard::Over;
        }
        Heard::Frame(head[3], head[4], u32::from_be_bytes([head[5], head[6], head[7], head[8]]), payload)
    }

    /// Everything about one stream, to its end.
    #[track_caller]
    fn answer(&mut self, stream: u32) -> Answer {
        let mut answer = Answer::default();
        loop {
            let Heard::Frame(kind, flags, on, payload) = self.hear() else {
                panic!("the connection ended: {answer:?}")
            };
            match kind {
                GOAWAY => panic!("GOAWAY {:?}", payload),
                RST_STREAM if on == stream => panic!("the stream was reset: {payload:?}"),
                HEADERS => {
                    for (name, value) in self.decoder.decode(&payload).unwrap() {
                        let value = String::from_utf8(value).unwrap();
                        match &name[..] {
                            b":status" => answer.http = Some(value),
                            b"grpc-status" => answer.grpc = Some(value),
                            b"grpc-message" => answer.message = value,
                            _ => {}
                        }
                    }
                }
                DATA if on == stream => answer.body.extend(payload),
                _ => {}
            }
            if on == stream && flags & END_STREAM != 0 && matches!(kind, HEADERS | DATA) {
                return answer;
            }
        }
    }

    /// How the connection ends: the code of GOAWAY, or none.
    fn end(&mut self) -> Option<u32> {
        let mut code = None;
        while let Heard::Frame(kind, _, _, payload) = self.hear() {
            if kind == GOAWAY {
                code = Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
            }
        }
        code
    }

    #[track_caller]
    fn call(&mut self, pairs: &[(&str, &str)], body: &[u8]) -> Answer {
        let (block, stream) = (self.block(pairs), self.stream);
        self.stream += 2;
        let mut bytes = frame_of(HEADERS, END_HEADERS, stream, &block);
        let mut pieces = body.chunks(16_384).peekable();
        if body.is_empty() {
            bytes.extend(frame_of(DATA, END_STREAM, stream, &[]));
        }
        while let Some(piece) = pieces.next() {
            let last = if pieces.peek().is_none() { END_STREAM } else { 0 };
            bytes.extend(frame_of(DATA, last, stream, piece));
        }
        self.send(&bytes);
        self.answer(stream)
    }
}

#[track_caller]
fn is_token(answer: &Answer) {
    assert_eq!((answer.http.as_deref(), answer.grpc.as_deref()), (Some("200"), Some("0")), "{answer:?}");
    let response = JwtSvidResponse::decode(&answer.body[5..]).unwrap();
    assert_eq!(response.svids[0].spiffe_id, "spiffe://example.org/a");
}

#[test]
fn any_authority_is_borne() {
    let scene = Scene::new();
    let agent = start(&scene);
    let all = [
        "localhost",
        "%2Ftmp%2Fagent.sock",
        "/tmp/agent.sock",
        "tmp%2Fagent.sock",
        "",
        "unix:/x",
        "a b",
        "[::1",
        "\u{e4}",
    ];
    for authority in all {
        is_token(&Client::connect(&agent).call(&good(FETCH, authority), &request()));
    }
    // On one connection, where the second call only points to what the first one said.
    let mut client = Client::connect(&agent);
    for authority in all.iter().chain(&all) {
        is_token(&client.call(&good(FETCH, authority), &request()));
    }
    // And none at all.
    let without: Vec<_> = good(FETCH, "x").into_iter().filter(|(name, _)| *name != ":authority").collect();
    is_token(&client.call(&without, &request()));
}

#[test]
fn headers_may_come_in_any_pieces() {
    let scene = Scene::new();
    let agent = start(&scene);
    let mut client = Client::connect(&agent);
    for cut in [0, 1, 7, 40] {
        for decoration in [0, PADDED, PRIORITY, PADDED | PRIORITY] {
            let block = client.block(&good(FETCH, "/x"));
            let stream = client.stream;
            client.stream += 2;
            let (first, rest) = block.split_at(cut.min(block.len()));
            let mut payload = Vec::new();
            if decoration & PADDED != 0 {
                payload.push(3);
            }
            if decoration & PRIORITY != 0 {
                payload.extend([0, 0, 0, 0, 16]);
            }
            payload.extend(first);
            if decoration & PADDED != 0 {
                payload.extend([0; 3]);
            }
            let mut bytes = frame_of(HEADERS, decoration, stream, &payload);
            let (middle, last) = rest.split_at(rest.len() / 2);
            bytes.extend(frame_of(CONTINUATION, 0, stream, middle));
            bytes.extend(frame_of(CONTINUATION, END_HEADERS, stream, last));
            bytes.extend(frame_of(DATA, END_STREAM, stream, &request()));
            // One byte at a time, once in a while.
            match cut {
                7 => assert!(bytes.chunks(1).all(|byte| client.send(byte))),
                _ => assert!(client.send(&bytes)),
            }
            is_token(&client.answer(stream));
        }
    }
}

#[test]
fn the_security_header_is_demanded_exactly_once() {
    let scene = Scene::new();
    let agent = start(&scene);
    let mut client = Client::connect(&agent);
    let without: Vec<_> = good(FETCH, "x").into_iter().filter(|(name, _)| *name != "workload.spiffe.io").collect();
    for more in [&[][..], &["false"], &["TRUE"], &[""], &["true", "true"], &["true", "false"]] {
        let headers = more.iter().fold(without.clone(), |mut headers, value| {
            headers.push(("workload.spiffe.io", value));
            headers
        });
        let answer = client.call(&headers, &request());
        assert_eq!(answer.grpc.as_deref(), Some("3"), "{more:?}");
        assert_eq!(answer.message, "security header missing from request");
    }
    is_token(&client.call(&good(FETCH, "x"), &request()));
}

#[test]
fn what_is_no_request_is_answered_all_the_same() {
    let scene = Scene::new();
    let agent = start(&scene);
    let mut client = Client::connect(&agent);
    for (path, message) in [
        ("/SpiffeWorkloadAPI/Nope", "unknown method Nope for service SpiffeWorkloadAPI"),
        ("/spiffe.workload.SpiffeWorkloadAPI/FetchX509SVID", "unknown service spiffe.workload.SpiffeWorkloadAPI"),
        ("/x", "unknown service x"),
    ] {
        let answer = client.call(&good(path, "x"), &request());
        assert_eq!((answer.grpc.as_deref(), answer.message.as_str()), (Some("12"), message), "{path}");
    }
    for wit in ["/SpiffeWorkloadAPI/FetchWITSVID", "/SpiffeWorkloadAPI/FetchWITBundles"] {
        assert_eq!(client.call(&good(wit, "x"), &[0; 5]).grpc.as_deref(), Some("12"));
    }
    let with = |name: &'static str, value: &'static str| {
        let mut headers = good(FETCH, "x");
        headers.iter_mut().filter(|(found, _)| *found == name).for_each(|field| field.1 = value);
        headers
    };
    assert_eq!(client.call(&with(":method", "GET"), &[]).http.as_deref(), Some("405"));
    assert_eq!(client.call(&with("content-type", "application/json"), &[]).http.as_deref(), Some("415"));
    let message = request();
    let framed = |flag: u8, length: u32, body: &[u8]| [&[flag], &length.to_be_bytes()[..], body].concat();
    for (what, body, code) in [
        ("nothing", vec![], "13"),
        ("a cut frame", message[..3].to_vec(), "13"),
        ("a cut message", message[..message.len() - 1].to_vec(), "13"),
        ("two messages", [&message[..], &message].concat(), "13"),
        ("a compressed one", framed(1, 1, b"x"), "12"),
        ("no frame", framed(9, 1, b"x"), "13"),
        ("garbage", framed(0, 4, b"\xff\xff\xff\xff"), "13"),
        ("not UTF-8", framed(0, 3, b"\x0a\x01\xff"), "13"),
        ("too much", framed(0, 65_537, b"x"), "8"),
        ("far too much, announced", framed(0, u32::MAX, b"x"), "8"),
        ("no audience", framed(0, 0, b""), "3"),
        ("an empty audience", framed(0, 2, b"\x0a\x00"), "3"),
        ("33 audiences", framed(0, 99, &b"\x0a\x01x".repeat(33)), "3"),
        ("no SPIFFE ID", framed(0, 6, b"\x0a\x01x\x12\x01y"), "3"),
        ("a long audience", framed(0, 9003, &[&b"\x0a\xa8\x46"[..], &[b'x'; 9000]].concat()), "3"),
    ] {
        let answer = client.call(&good(FETCH, "x"), &body);
        assert_eq!(answer.grpc.as_deref(), Some(code), "{what}: {answer:?}");
    }
    is_token(&client.call(&good(FETCH, "x"), &request()));
    // A caller that has no patience is not waited for.
    let mut hurried = good("/SpiffeWorkloadAPI/FetchX509SVID", "x");
    hurried.push(("grpc-timeout", "50m"));
    let block = client.block(&hurried);
    let stream = client.stream;
    let mut bytes = frame_of(HEADERS, END_HEADERS, stream, &block);
    bytes.extend(frame_of(DATA, END_STREAM, stream, &[0; 5]));
    client.send(&bytes);
    let begun = Instant::now();
    loop {
        match client.hear() {
            Heard::Frame(RST_STREAM, _, on, _) if on == stream => break,
            Heard::Frame(..) => {}
            Heard::Over => panic!("the connection ended"),
        }
    }
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn blocks_that_break_the_rules_end_the_connection() {
    let scene = Scene::new();
    let agent = start(&scene);
    // An index that is not there.
    let mut client = Client::connect(&agent);
    client.send(&frame_of(HEADERS, END_HEADERS | END_STREAM, 1, &[0xff, 0x7f]));
    assert!(client.end().is_some_and(|code| code != 0));
    // Another frame in the middle of a block, and a continuation of nothing.
    for frames in [
        [frame_of(HEADERS, 0, 1, &[0x82]), frame_of(PING, 0, 0, &[0; 8])].concat(),
        [frame_of(HEADERS, 0, 1, &[0x82]), frame_of(CONTINUATION, END_HEADERS, 3, &[0x84])].concat(),
        frame_of(CONTINUATION, END_HEADERS, 1, &[0x82]),
        frame_of(HEADERS, END_HEADERS | PADDED, 1, &[200, 0x82]),
        frame_of(HEADERS, END_HEADERS, 1, &vec![0x82; 20_000]),
    ] {
        let mut client = Client::connect(&agent);
        client.send(&frames);
        let code = client.end();
        assert!(code.is_some_and(|code| code != 0), "{code:?}");
    }
    // Not HTTP/2.
    let mut client = Client::connect(&agent);
    let mut socket = UnixStream::connect(agent.workload_socket_path().unwrap()).unwrap();
    socket.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut rest = Vec::new();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let _ = socket.read_to_end(&mut rest);
    is_token(&client.call(&good(FETCH, "x"), &request()));
}

#[test]
fn floods_are_cut_off() {
    let scene = Scene::new();
    let agent = start(&scene);
    let mut neighbour = Client::connect(&agent);
    let big = "x".repeat(4000);
    let reset = |client: &mut Client, stream: u32| {
        let block = client.block(&good(FETCH, "x"));
        [frame_of(HEADERS, END_HEADERS, stream, &block), frame_of(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat()
    };
    type Next<'a> = &'a dyn Fn(&mut Client, u32) -> Vec<u8>;
    let floods: [(&str, Next<'_>); 7] = [
        ("pings", &|_, _| frame_of(PING, 0, 0, &[7; 8])),
        ("settings", &|_, _| frame_of(SETTINGS, 0, 0, &[])),
        ("priorities", &|_, _| frame_of(2, 0, 1, &[0, 0, 0, 0, 16])),
        ("unknown frames", &|_, _| frame_of(0x42, 0, 0, &[])),
        ("resets", &reset),
        ("empty continuations", &|_, stream| match stream {
            1 => frame_of(HEADERS, 0, 1, &[]),
            _ => frame_of(CONTINUATION, 0, 1, &[]),
        }),
        ("headers without end", &|client, stream| {
            let block = client.block(&[("x-big", &big)]);
            match stream {
                1 => frame_of(HEADERS, 0, 1, &block),
                _ => frame_of(CONTINUATION, 0, 1, &block),
            }
        }),
    ];
    for (what, next) in floods {
        let mut client = Client::connect(&agent);
        let mut reader = client.socket.try_clone().unwrap();
        let drain = std::thread::spawn(move || {
            let mut all = Vec::new();
            let _ = reader.read_to_end(&mut all);
            all
        });
        let mut sent = 0;
        while sent < 200_000 {
            let mut bytes = Vec::new();
            for _ in 0..100 {
                bytes.extend(next(&mut client, sent * 2 + 1));
                sent += 1;
            }
            if !client.send(&bytes) {
                break;
            }
        }
        drop(client);
        let heard = drain.join().unwrap();
        // Those that say it with GOAWAY say it like this; a client that goes on sending may lose it.
        let said = heard.windows(9).any(|bytes| bytes[..4] == [0, 0, 8, GOAWAY]) || !heard.is_empty();
        assert!(said && sent < 200_000, "{what}: {sent} frames were taken");
        is_token(&neighbour.call(&good(FETCH, "x"), &request()));
    }
    // A few bytes that unfold to many.
    let mut client = Client::connect(&agent);
    let mut block = [&b"\x40\x01a\x7f\x81\x1e"[..], &[b'x'; 4000]].concat();
    block.extend([0xbe; 5000]);
    client.send(&frame_of(HEADERS, END_HEADERS, 1, &block));
    assert_eq!(client.end(), Some(ENHANCE_YOUR_CALM));
    // What a busy client does is no flood: it takes calls back, and measures the connection.
    let mut client = Client::connect(&agent);
    for _ in 0..3000 {
        is_token(&client.call(&good(FETCH, "x"), &request()));
        let stream = client.stream;
        client.send(&frame_of(PING, 0, 0, &[7; 8]));
        client.send(&frame_of(WINDOW_UPDATE, 0, 0, &[0, 0, 4, 0]));
        client.send(&frame_of(RST_STREAM, 0, stream - 2, &[0, 0, 0, 8]));
    }
    eventually("all are gone but the two", || agent.workload_stats().unwrap().connections == 2);
}

#[test]
fn there_is_room_for_so_many_and_no_more() {
    let scene = Scene::new();
    let agent = Agent::start(options(&scene).workload_connections(10, 3)).unwrap();
    let mut clients: Vec<Client> = (0..3).map(|_| Client::connect(&agent)).collect();
    clients.iter_mut().for_each(|client| is_token(&client.call(&good(FETCH, "x"), &request())));
    // It may be over before a word is said, so none is.
    let socket = UnixStream::connect(agent.workload_socket_path().unwrap()).unwrap();
    let mut one_more = Client { socket, encoder: Encoder::new(), decoder: Decoder::new(), stream: 1 };
    assert_eq!(one_more.end(), Some(ENHANCE_YOUR_CALM));
    assert_eq!(agent.workload_stats().unwrap().turned_away, 1);
    clients.pop();
    eventually("there is room again", || agent.workload_stats().unwrap().connections == 2);
    is_token(&Client::connect(&agent).call(&good(FETCH, "x"), &request()));
    // Streams of one connection.
    let client = &mut clients[0];
    let mut refused = 0;
    for _ in 0..150 {
        let block = client.block(&good("/SpiffeWorkloadAPI/FetchX509SVID", "x"));
        let stream = client.stream;
        client.stream += 2;
        let mut bytes = frame_of(HEADERS, END_HEADERS, stream, &block);
        bytes.extend(frame_of(DATA, END_STREAM, stream, &[0; 5]));
        client.send(&bytes);
    }
    while refused < 50 {
        match client.hear() {
            // REFUSED_STREAM; and STREAM_CLOSED for what came behind it.
            Heard::Frame(RST_STREAM, _, _, payload) => match payload[..] {
                [0, 0, 0, 7] => refused += 1,
                ref other => assert_eq!(other, [0, 0, 0, 5]),
            },
            Heard::Frame(..) => {}
            Heard::Over => panic!("the connection ended after {refused} refusals"),
        }
    }
}

#[test]
fn who_does_not_read_is_told_the_newest_when_it_does() {
    let scene = Scene::new();
    let agent = start(&scene);
    // No room for a single byte.
    let mut client = Client::with_settings(&agent, &[0, 4, 0, 0, 0, 0]);
    let block = client.block(&good("/SpiffeWorkloadAPI/FetchX509SVID", "x"));
    let mut bytes = frame_of(HEADERS, END_HEADERS, 1, &block);
    bytes.extend(frame_of(DATA, END_STREAM, 1, &[0; 5]));
    client.send(&bytes);
    // Three half-lives of the SVID pass.
    std::thread::sleep(Duration::from_millis(3500));
    let before = agent.workload_stats().unwrap().x509_svids;
    assert!(before <= 2, "{before} were issued for somebody who takes none");
    client.send(&frame_of(WINDOW_UPDATE, 0, 1, &[0, 1, 0, 0]));
    let mut body = Vec::new();
    loop {
        let Heard::Frame(kind, _, on, payload) = client.hear() else { panic!("the connection ended") };
        if kind == DATA && on == 1 {
            body.extend(payload);
        }
        // The one that was on its way, and then the newest.
        let mut rest = &body[..];
        let mut messages = Vec::new();
        while rest.len() >= 5 {
            let length = u32::from_be_bytes(rest[1..5].try_into().unwrap()) as usize;
            let Some(message) = rest.get(5..5 + length) else { break };
            messages.push(X509SvidResponse::decode(message).unwrap());
            rest = &rest[5 + length..];
        }
        if messages.len() == 2 {
            assert_ne!(messages[0].svids[0].x509_svid, messages[1].svids[0].x509_svid);
            return;
        }
    }
}
