//! A hub on loopback: repositories as the real one describes and serves them, and every way in which it can go wrong.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use serde_json::{Value, json};
use sha1::Sha1;
use sha2::{Digest, Sha256};

pub(super) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// What was asked.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) path: String,
    pub(super) headers: BTreeMap<String, String>,
    /// How often the same had been asked before.
    pub(super) nth: usize,
}

impl Request {
    /// The same for another path.
    pub(super) fn at(&self, path: &str) -> Self {
        Self { path: path.to_owned(), ..self.clone() }
    }
}

/// What is answered.
#[derive(Clone)]
pub(super) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// Bytes of the body after which the connection ends.
    cut: Option<usize>,
    announced: bool,
    /// Is run between the bytes before the cut and the end of the connection.
    then: Option<Arc<dyn Fn() + Send + Sync>>,
}

impl Reply {
    pub(super) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into(), cut: None, announced: true, then: None }
    }

    pub(super) fn redirect(to: impl Into<String>) -> Self {
        Self::new(302, "").header("Location", to)
    }

    /// As the hub says that it has no such repository.
    pub(super) fn nothing() -> Self {
        Self::new(404, "{}").header("X-Error-Code", "RepoNotFound")
    }

    pub(super) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(super) fn cut(mut self, after: usize) -> Self {
        self.cut = Some(after);
        self
    }

    pub(super) fn then(mut self, run: impl Fn() + Send + Sync + 'static) -> Self {
        self.then = Some(Arc::new(run));
        self
    }

    /// Without a Content-Length: the body ends with the connection.
    pub(super) fn unannounced(mut self) -> Self {
        self.announced = false;
        self
    }

    fn send(&self, stream: &mut TcpStream) -> std::io::Result<()> {
        write!(stream, "HTTP/1.1 {} X\r\nConnection: close\r\n", self.status)?;
        if self.announced {
            write!(stream, "Content-Length: {}\r\n", self.body.len())?;
        }
        for (name, value) in &self.headers {
            write!(stream, "{name}: {value}\r\n")?;
        }
        stream.write_all(b"\r\n")?;
        stream.write_all(&self.body[..self.cut.unwrap_or(self.body.len())])?;
        stream.flush()?;
        if let Some(then) = &self.then {
            then();
        }
        Ok(())
    }
}

type Answer = dyn Fn(&Request) -> Reply + Send + Sync;

/// A server that answers until it goes.
pub(super) struct Hub {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    over: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Hub {
    pub(super) fn serve(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (requests, over) = (Arc::<Mutex<Vec<Request>>>::default(), Arc::<AtomicBool>::default());
        let (answer, seen, ended): (Arc<Answer>, _, _) = (Arc::new(answer), Arc::clone(&requests), Arc::clone(&over));
        let accepting = thread::spawn(move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::SeqCst) {
                    break;
                }
                let (answer, seen) = (Arc::clone(&answer), Arc::clone(&seen));
                // A client that goes away is part of the game.
                thread::spawn(move || stream.and_then(|stream| converse(stream, answer.as_ref(), &seen)));
            }
        });
        Self { address, requests, over, accepting: Some(accepting) }
    }

    /// One that has this repository and no other.
    pub(super) fn of(repository: &Repository) -> Self {
        let repository = repository.clone();
        Self::serve(move |request| repository.answer(request))
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The same server by another host's name.
    pub(super) fn other_url(&self) -> String {
        format!("http://localhost:{}", self.address.port())
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// What was asked for whose path ends so.
    pub(super) fn asked(&self, ending: &str) -> Vec<Request> {
        self.requests().into_iter().filter(|request| request.path.ends_with(ending)).collect()
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        let _ = self.accepting.take().unwrap().join();
    }
}

fn converse(mut stream: TcpStream, answer: &Answer, seen: &Mutex<Vec<Request>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let path = lines[0].split(' ').nth(1).unwrap().to_owned();
        let is_tunnel = lines[0].starts_with("CONNECT");
        let header =
            |line: &String| line.split_once(':').map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()));
        let headers = lines.iter().skip(1).filter_map(header).collect();
        let request = {
            let mut seen = seen.lock().unwrap();
            let nth = seen.iter().filter(|earlier| earlier.path == path).count();
            seen.push(Request { path, headers, nth });
            seen.last().unwrap().clone()
        };
        if !is_tunnel {
            return answer(&request).send(&mut stream);
        }
        // As a proxy whose every tunnel leads to itself.
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    }
}

/// A model's repository at one commit.
#[derive(Clone)]
pub(super) struct Repository {
    pub(super) name: String,
    pub(super) commit: String,
    pub(super) files: BTreeMap<String, Vec<u8>>,
}

impl Repository {
    /// One of the tiny models of the library's tests.
    pub(super) fn golden(name: &str, model: &str) -> Self {
        fn read(folder: &Path, above: &str, files: &mut BTreeMap<String, Vec<u8>>) {
            for entry in fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                let name = format!("{above}{}", entry.file_name().to_str().unwrap());
                if entry.path().is_dir() {
                    read(&entry.path(), &format!("{name}/"), files);
                } else if name != "expected.json" {
                    files.insert(name, fs::read(entry.path()).unwrap());
                }
            }
        }
        let mut files = BTreeMap::new();
        read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden").join(model), "", &mut files);
        files.insert("README.md".to_owned(), b"---\nlicense: apache-2.0\n---\n# A tiny model\n".to_vec());
        Self { name: name.to_owned(), commit: COMMIT.to_owned(), files }
    }

    pub(super) fn with(mut self, name: &str, content: impl Into<Vec<u8>>) -> Self {
        self.files.insert(name.to_owned(), content.into());
        self
    }

    pub(super) fn without(mut self, name: &str) -> Self {
        self.files.remove(name).unwrap();
        self
    }

    /// What the hub's API says of it.
    pub(super) fn listing(&self) -> Value {
        let sibling = |(name, content): (&String, &Vec<u8>)| {
            let mut sibling = json!({"rfilename": name, "size": content.len(), "blobId": git_blob(content)});
            if name.ends_with(".safetensors") {
                sibling["lfs"] = json!({"sha256": sha256(content), "size": content.len(), "pointerSize": 134});
            }
            sibling
        };
        json!({"id": self.name, "sha": self.commit, "siblings": self.files.iter().map(sibling).collect::<Vec<_>>()})
    }

    pub(super) fn answer(&self, request: &Request) -> Reply {
        let path = request.path.as_str();
        if path.starts_with(&format!("/api/models/{}/revision/", self.name)) {
            return Reply::new(200, self.listing().to_string()).header("Content-Type", "application/json");
        }
        let file = path.strip_prefix(&format!("/{}/resolve/{}/", self.name, self.commit));
        let Some(content) = file.and_then(|file| self.files.get(file)) else { return Reply::nothing() };
        let from = request
            .headers
            .get("range")
            .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
        match from {
            Some(from) => Reply::new(206, &content[from..])
                .header("Content-Range", format!("bytes {from}-{}/{}", content.len() - 1, content.len())),
            None => Reply::new(200, content.as_slice()),
        }
        .header("X-Repo-Commit", self.commit.as_str())
    }
}

pub(super) fn sha256(content: &[u8]) -> String {
    hex(&Sha256::digest(content))
}

pub(super) fn git_blob(content: &[u8]) -> String {
    hex(&Sha1::new_with_prefix(format!("blob {}\0", content.len())).chain_update(content).finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
