//! Lines out of pieces, and the client at servers that behave in every way.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::time::Duration;

use countersign::control::{ControlClient, ControlError, Lines, TooLong, Verb};
use countersign::peer::PeerConditions;

#[test]
fn lines_come_out_however_the_pieces_fall() {
    let text = b"one\r\n\n  two  \nthree";
    for size in 1..text.len() {
        let mut lines = Lines::new(100);
        let mut found = Vec::new();
        for piece in text.chunks(size) {
            lines.feed(piece);
            while let Some(line) = lines.next_line().unwrap() {
                found.push(line);
            }
        }
        assert!(lines.is_amidst());
        found.extend(lines.last_line().unwrap());
        assert_eq!(found, [&b"one"[..], b"", b"two", b"three"], "{size}");
        assert_eq!(lines.last_line(), Ok(None));
        assert!(!lines.is_amidst());
    }
}

#[test]
fn a_line_has_a_limit_whether_or_not_it_ends() {
    let mut lines = Lines::new(4);
    lines.feed(b"1234\n12345");
    assert_eq!(lines.next_line(), Ok(Some(b"1234".to_vec())));
    assert_eq!(lines.next_line(), Err(TooLong(4)));
    let mut lines = Lines::new(4);
    lines.feed(b"12345\n");
    assert_eq!(lines.next_line(), Err(TooLong(4)));
    assert_eq!(lines.last_line(), Err(TooLong(4)));
}

/// A server whose connection is in the hands of `serve`.
fn server(serve: impl FnOnce(UnixStream) + Send + 'static) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control.sock");
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || serve(listener.accept().unwrap().0));
    (directory, path)
}

/// One that answers each line with what is said here.
fn answering(answers: &'static [&'static str]) -> (tempfile::TempDir, PathBuf) {
    server(move |stream| {
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        for answer in answers {
            if lines.next().is_none() {
                return;
            }
            (&stream).write_all(answer.as_bytes()).unwrap();
        }
    })
}

#[test]
fn answers_are_told_apart() {
    let (_directory, path) = answering(&[
        "{\"type\":\"ok\",\"value\":\"pong\",\"id\":1}\n",
        "{\"type\":\"err\",\"id\":2,\"code\":\"E_DENIED\",\"message\":\"no\"}\n",
        "\n",
        "{\"type\":\"alert\",\"timestamp\":\"2026-01-01T00:00:00Z\",\"severity\":\"LOW\",\"monitor\":\"m\",\"message\":\"x\"}\n{\"type\":\"ok\",\"a\":1}\n",
        "nonsense\n",
        "{\"type\":\"ok\",\"last\":true}",
    ]);
    let mut client = ControlClient::connect(&path).unwrap();
    assert_eq!(client.request(&Verb::Ping).unwrap()["value"], "pong");
    let refused = client.request(&Verb::ReloadPolicy);
    assert!(matches!(refused, Err(ControlError::Refused { code, .. }) if code == "E_DENIED"));
    assert!(matches!(client.request(&Verb::Ping), Err(ControlError::Blank)));
    assert_eq!(client.request(&Verb::Ping).unwrap()["a"], 1);
    assert!(matches!(client.request(&Verb::Ping), Err(ControlError::Codec(_))));
    // The end of the stream ends a line, too.
    let mut client = client;
    assert!(client.request(&Verb::Ping).unwrap()["last"] == true);
    assert!(matches!(client.request(&Verb::Ping), Err(ControlError::Closed | ControlError::Io(_))));
}

#[test]
fn an_answer_that_comes_too_late_is_nobody_elses() {
    for echo in [true, false] {
        let (_directory, path) = server(move |stream| {
            for (number, line) in BufReader::new(stream.try_clone().unwrap()).lines().enumerate() {
                let _ = line;
                std::thread::sleep(Duration::from_millis(if number == 0 { 300 } else { 0 }));
                let id = if echo { format!(",\"id\":{}", number + 1) } else { String::new() };
                (&stream).write_all(format!("{{\"type\":\"ok\",\"answer\":{number}{id}}}\n").as_bytes()).unwrap();
            }
        });
        let mut client = ControlClient::connect(&path).unwrap().with_timeout(Some(Duration::from_millis(50)));
        let killed = client.request(&Verb::Kill { reason: None });
        assert!(matches!(killed, Err(ControlError::Timeout(_))), "{killed:?}");
        let mut client = client.with_timeout(Some(Duration::from_secs(10)));
        for number in 1..4 {
            assert_eq!(client.request(&Verb::Ping).unwrap()["answer"], number, "echo: {echo}");
        }
    }
}

#[test]
fn a_subscription_tells_until_it_ends() {
    let alert = "{\"type\":\"alert\",\"timestamp\":\"2026-01-01T00:00:00Z\",\"severity\":\"LOW\",\"monitor\":\"m\",\"message\":\"x\",\"seq\":8}\n";
    let (_directory, path) = server(move |mut stream| {
        let mut line = String::new();
        BufReader::new(stream.try_clone().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("\"after\":7"), "{line}");
        let _ = stream.write_all(format!("{{\"type\":\"ok\",\"seq\":7,\"id\":1}}\n{alert}{alert}").as_bytes());
    });
    let mut alerts = ControlClient::connect(&path).unwrap().subscribe(Some(7)).unwrap();
    assert_eq!(alerts.acknowledgement["seq"], 7);
    assert_eq!(alerts.next_alert().unwrap().unwrap().seq, Some(8));
    assert!(alerts.next_alert().unwrap().is_some());
    assert!(alerts.next_alert().unwrap().is_none());
}

#[test]
fn an_impostor_hears_nothing() {
    let (_directory, path) = server(|stream| {
        let mut line = String::new();
        let heard = BufReader::new(stream).read_line(&mut line).unwrap_or(0);
        assert_eq!(heard, 0);
    });
    let nobody = PeerConditions { uid: Some(4_000_000), ..PeerConditions::default() }.build().unwrap();
    let refused = ControlClient::connect_verified(&path, &nobody);
    assert!(matches!(refused, Err(ControlError::Untrusted { .. })));
    assert!(matches!(ControlClient::connect("/nonexistent/control.sock"), Err(ControlError::Connect { .. })));
}
