//! Requests that a module sends: where they may go, what the host adds to them, and what ends them.

#![allow(clippy::disallowed_methods, reason = "these run by the machine's clocks")]

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reactor_tests::{Sandbox, guest};
use serde_json::{Value, json};

/// A request as a server got it.
#[derive(Clone, Debug)]
struct Got {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Got {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A server on the loopback; what it answers stands in the path.
struct Server {
    address: String,
    got: Arc<Mutex<Vec<Got>>>,
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address").to_string();
        let got = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&got);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || while serve(&stream, &kept).is_some() {});
            }
        });
        Self { address, got }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn serve(mut stream: &TcpStream, kept: &Mutex<Vec<Got>>) -> Option<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut lines = head.lines();
    let mut first = lines.next()?.split_whitespace().map(str::to_owned);
    let (method, path) = (first.next()?, first.next()?);
    let split = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
    let mut got = Got { method, path, headers: lines.filter_map(split).collect(), body: Vec::new() };
    if let Some(length) = got.header("content-length").and_then(|length| length.parse().ok()) {
        got.body = vec![0; length];
        stream.read_exact(&mut got.body).ok()?;
    } else if got.header("transfer-encoding") == Some("chunked") {
        loop {
            let mut line = Vec::new();
            while !line.ends_with(b"\r\n") {
                stream.read_exact(&mut byte).ok()?;
                line.push(byte[0]);
            }
            let length = usize::from_str_radix(String::from_utf8_lossy(&line).trim(), 16).ok()?;
            let mut chunk = vec![0; length + 2];
            stream.read_exact(&mut chunk).ok()?;
            got.body.extend_from_slice(&chunk[..length]);
            if length == 0 {
                break;
            }
        }
    }
    let path = got.path.clone();
    kept.lock().unwrap_or_else(PoisonError::into_inner).push(got);
    let (status, more, body) = match path.as_str() {
        "/moved" => ("302 Found", "Location: /ok\r\n", "gone".to_owned()),
        "/busy" => ("503 Service Unavailable", "Retry-After: 1\r\n", "later".to_owned()),
        "/bad" => ("422 Unprocessable Content", "", "no such order".to_owned()),
        "/large" => ("200 OK", "", "y".repeat(5 << 20)),
        "/slow" => {
            std::thread::sleep(Duration::from_secs(20));
            ("200 OK", "", "late".to_owned())
        }
        _ => ("200 OK", "", "fine".to_owned()),
    };
    let answer = format!("HTTP/1.1 {status}\r\n{more}Content-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(answer.as_bytes()).ok()
}

fn caller(origins: &[&str], extra: &str) -> Sandbox {
    let sandbox = Sandbox::new(&format!(
        "[channels.in]\nkind = \"local\"\n\n[reactors.caller]\nmodule = \"caller.wasm\"\nfrom = [\"in\"]\n\
         on = [\"call\"]\ntimeout = \"60s\"\ncpu = \"5s\"\nallow = {{ state = true, http = {} }}\n{extra}\n",
        json!(origins)
    ));
    std::fs::copy(guest("guest-caller"), sandbox.path("caller.wasm")).expect("the module can be copied");
    sandbox
}

fn wish(id: &str, data: &Value) -> String {
    json!({ "eventId": id, "eventType": "call", "source": "test", "data": data }).to_string()
}

/// What came back for an event.
fn came(sandbox: &Sandbox, id: &str) -> Vec<String> {
    let text = sandbox.state("caller", id).unwrap_or_else(|| panic!("{id} was not done: {:?}", sandbox.dead(&[])));
    serde_json::from_str(&text).expect("a list")
}

#[test]
fn requests_go_to_granted_origins_and_nowhere_else() {
    let (server, other) = (Server::start(), Server::start());
    let sandbox = caller(&[&server.url("")], "");
    let port = server.address.rsplit(':').next().expect("a port");
    let urls = [
        server.url("/ok?a=b"),
        other.url("/ok"),
        format!("http://localhost:{port}/ok"),
        format!("http://user@{}/ok", server.address),
        "https://example.com/".to_owned(),
        server.url("/moved"),
    ];
    let calls: Vec<_> = urls.iter().map(|url| json!({ "url": url })).collect();
    sandbox.publish("in", &[wish("e", &json!({ "calls": calls }))]);
    let ran = sandbox.run(&["up", "--until-idle"]).ok();
    let came = came(&sandbox, "e");
    assert_eq!(came[0], "200 fine");
    assert!(
        came[1].starts_with("denied:") && came[2].starts_with("denied:") && came[4].starts_with("denied:"),
        "{came:?}"
    );
    assert!(came[3].starts_with("invalid:"), "{came:?}");
    assert_eq!(came[5], "302 gone", "redirects are not followed");
    ran.says("allow = { http = [\"https://example.com\"] }");
    let got: Vec<_> = server.got().into_iter().map(|got| got.path).collect();
    assert_eq!(got, ["/ok?a=b", "/moved"]);
    assert!(other.got().is_empty());
}

#[test]
fn localhost_by_name_is_granted_by_name() {
    let server = Server::start();
    let by_name = server.url("").replace("127.0.0.1", "localhost");
    let sandbox = caller(&[&by_name], "");
    sandbox.publish("in", &[wish("e", &json!({ "calls": [{ "url": format!("{by_name}/ok") }] }))]);
    sandbox.until_idle();
    assert_eq!(came(&sandbox, "e"), ["200 fine"]);
    assert_eq!(server.got()[0].header("host"), Some(by_name.trim_start_matches("http://")));
}

#[test]
fn each_request_has_a_key_that_stays_the_same_over_attempts() {
    let server = Server::start();
    let sandbox = caller(&[&server.url("")], "retry = { initial = \"10ms\" }\n");
    let post = |path: &str| json!({ "method": "POST", "url": server.url(path), "bytes": 5_000 });
    let own = json!({ "method": "POST", "url": server.url("/own"), "headers": [["Idempotency-Key", "mine"]] });
    let calls = json!([post("/one"), post("/two"), { "url": server.url("/read") }, own]);
    sandbox
        .publish("in", &[wish("e", &json!({ "calls": calls, "failFirst": 2 })), wish("f", &json!({ "calls": calls }))]);
    sandbox.until_idle();
    let got = server.got();
    let keys = |path: &str| -> Vec<_> {
        got.iter().filter(|got| got.path == path).map(|got| got.header("idempotency-key").map(str::to_owned)).collect()
    };
    let distinct = |path: &str| keys(path).into_iter().flatten().collect::<BTreeSet<_>>();
    assert_eq!((keys("/one").len(), distinct("/one").len()), (4, 2), "three attempts at one event, one at the other");
    assert!(distinct("/one").is_disjoint(&distinct("/two")));
    assert_eq!(keys("/read"), [None, None, None, None]);
    assert_eq!(distinct("/own"), BTreeSet::from(["mine".to_owned()]));
    assert!(
        got.iter().filter(|got| got.method == "POST" && got.path != "/own").all(|got| got.body == vec![b'x'; 5_000])
    );
}

#[test]
fn answers_become_outcomes() {
    let server = Server::start();
    let sandbox = caller(&[&server.url(""), "http://127.0.0.1:1"], "retry = { max-attempts = 2, initial = \"1ms\" }\n");
    for (id, url) in [
        ("busy", server.url("/busy")),
        ("bad", server.url("/bad")),
        ("nobody", "http://127.0.0.1:1/".into()),
        ("denied", "https://example.com/".into()),
    ] {
        sandbox.publish("in", &[wish(id, &json!({ "calls": [{ "url": url }], "strict": true }))]);
    }
    sandbox.until_idle();
    let dead = sandbox.dead(&[]);
    let of =
        |id: &str| dead.iter().find(|dead| dead["eventId"] == id).unwrap_or_else(|| panic!("{id} is not in {dead:?}"));
    assert_eq!(of("busy")["reason"], "retries-exhausted");
    let error = |id: &str| of(id)["attempts"][0]["error"].as_str().unwrap_or_default().to_owned();
    assert!(error("busy").contains("was answered with 503: later"), "{}", error("busy"));
    assert_eq!(of("bad")["reason"], "rejected");
    assert!(error("bad").contains("422: no such order"));
    assert_eq!(
        (&of("nobody")["reason"], of("nobody")["attempts"].as_array().map(Vec::len)),
        (&json!("retries-exhausted"), Some(2))
    );
    assert_eq!(of("denied")["reason"], "rejected");
    let busy: Vec<_> = server.got().into_iter().filter(|got| got.path == "/busy").collect();
    assert_eq!(busy.len(), 2);
}

#[test]
fn a_rehearsal_sends_nothing_unless_told_to() {
    let server = Server::start();
    let sandbox = caller(&[&server.url("")], "");
    let wish = wish("e", &json!({ "calls": [{ "url": server.url("/ok") }] }));
    let ran = sandbox.run_with(&["--json", "invoke", "caller"], wish.as_bytes()).ok().says("this is a rehearsal");
    assert!(ran.json()["writes"][0]["value"][0].as_str().is_some_and(|came| came.starts_with("denied:")));
    assert!(server.got().is_empty());
    let shown = sandbox.run_with(&["--json", "invoke", "caller", "--http"], wish.as_bytes()).ok().json();
    assert_eq!(shown["writes"][0]["value"], json!(["200 fine"]));
    assert_eq!(server.got().len(), 1);
}

#[test]
fn limits_end_what_goes_beyond_them() {
    let server = Server::start();
    let sandbox = caller(&[&server.url("")], "retry = { max-attempts = 1 }\n");
    let ok = json!({ "url": server.url("/ok") });
    sandbox.publish(
        "in",
        &[
            wish("32", &json!({ "calls": vec![ok.clone(); 32] })),
            wish("33", &json!({ "calls": vec![ok; 33] })),
            wish(
                "much",
                &json!({ "calls": [{ "method": "POST", "url": server.url("/much"), "bytes": (1 << 20) + 1 }] }),
            ),
            wish("large", &json!({ "calls": [{ "url": server.url("/large") }] })),
            wish("slow", &json!({ "calls": [{ "url": server.url("/slow"), "timeoutMs": 200 }] })),
            wish(
                "headers",
                &json!({ "calls": [
            { "url": server.url("/h"), "headers": [["Host", "example.com"]] },
            { "url": server.url("/h"), "headers": [["Transfer-Encoding", "chunked"]] },
            { "url": server.url("/h"), "headers": [["x", "a\r\nb: c"]] },
        ] }),
            ),
        ],
    );
    sandbox.until_idle();
    assert_eq!(came(&sandbox, "32").len(), 32);
    for id in ["33", "much"] {
        let dead = sandbox.dead(&["--reason", "http-limit"]);
        assert!(dead.iter().any(|dead| dead["eventId"] == id), "{id}: {:?}", sandbox.dead(&[]));
    }
    assert!(came(&sandbox, "large")[0].starts_with("failed:"), "{:?}", came(&sandbox, "large"));
    assert!(came(&sandbox, "slow")[0].starts_with("failed:"), "{:?}", came(&sandbox, "slow"));
    assert!(
        came(&sandbox, "headers").iter().all(|came| came.starts_with("invalid:")),
        "{:?}",
        came(&sandbox, "headers")
    );
    assert!(!server.got().iter().any(|got| got.path == "/h"));
}

#[test]
fn what_is_missing_or_too_much_is_told_with_the_line() {
    let sandbox = caller(&["https://example.com"], "");
    let checked = sandbox.run(&["--json", "check"]).ok().json();
    let imports = checked["reactors"][0]["imports"].as_array().expect("a list").clone();
    assert!(
        imports
            .iter()
            .any(|import| import.as_str().is_some_and(|name| name.starts_with("wasi:http/outgoing-handler@")))
    );
    let config = std::fs::read_to_string(sandbox.path("reactors.toml")).expect("the configuration");
    sandbox.write("reactors.toml", config.replace(", http = [\"https://example.com\"]", ""));
    sandbox.run(&["check"]).code(4).says("allow = { http = [\"https://HOST\"] }");
    let tally = Sandbox::tally("");
    let config = std::fs::read_to_string(tally.path("reactors.toml")).expect("the configuration");
    tally.write("reactors.toml", config.replace("state = true", "state = true, http = [\"https://example.com\"]"));
    tally.run(&["check"]).ok().says("granted http, but its module does not import it; remove `http` from its `allow`");
}
