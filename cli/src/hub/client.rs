//! Requests to the hub: redirects by hand, so that a token goes to the hub's own host and to no other.

use std::time::Duration;

use anyhow::{Error, anyhow};
use ureq::http::header::{CONTENT_TYPE, LOCATION, RANGE, RETRY_AFTER};
use ureq::http::{Response, StatusCode, Uri};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body};

use super::environment::Hub;
use super::failure::Failure;

const MAX_REDIRECTS: usize = 8;

pub(super) struct Client {
    agent: Agent,
    hub: Hub,
}

impl Client {
    /// A proxy is taken from `HTTPS_PROXY` and its like, as the HTTP library reads them.
    pub(super) fn new(hub: Hub) -> Self {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        // The certificates that this machine trusts, a company's own among them.
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let agent = Agent::config_builder()
            .tls_config(tls)
            .user_agent(concat!("marcato/", env!("CARGO_PKG_VERSION")))
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_resolve(seconds(10))
            .timeout_connect(seconds(15))
            .timeout_recv_response(seconds(30))
            .timeout_per_read(seconds(30))
            // Against a server that dribbles; a slow line is cut now and then, and goes on where it was.
            .timeout_recv_body(seconds(15 * 60))
            .build()
            .new_agent();
        Self { agent, hub }
    }

    /// What the hub has at `path`, from byte `from` on if it heeds that (206; otherwise 200).
    pub(super) fn get(&self, path: &str, from: u64) -> Result<Response<Body>, Failure> {
        let start: Uri = format!("{}{path}", self.hub.endpoint)
            .parse()
            .map_err(|error| Failure::fatal(Error::new(error).context(format!("{path} makes no address"))))?;
        let mut uri = start.clone();
        for _ in 0..=MAX_REDIRECTS {
            let response = self.request(&uri, from, same_origin(&uri, &start))?;
            let status = response.status();
            if !status.is_redirection() {
                return if status.is_success() { Ok(response) } else { Err(refusal(&response, &uri)) };
            }
            let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            let next = location.and_then(|location| resolve(&uri, location));
            uri = next.ok_or_else(|| Failure::fatal(anyhow!("{} redirects to nowhere", place(&uri))))?;
            if !is_allowed(&uri, &start) {
                return Err(Failure::fatal(anyhow!(
                    "{} redirects to {}, which is not https",
                    place(&start),
                    place(&uri)
                )));
            }
        }
        Err(Failure::fatal(anyhow!("{} redirects more than {MAX_REDIRECTS} times", place(&start))))
    }

    fn request(&self, uri: &Uri, from: u64, is_hub: bool) -> Result<Response<Body>, Failure> {
        let mut request = self.agent.get(uri);
        if from > 0 {
            // No If-Range: the address names a commit, whose files never change, and the whole is hashed in the end.
            request = request.header(RANGE, format!("bytes={from}-"));
        }
        if let Some(token) = &self.hub.token
            && is_hub
            && (uri.scheme_str() == Some("https") || is_loopback(uri))
        {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        request.call().map_err(|error| {
            let passing = matches!(
                error,
                ureq::Error::Io(_)
                    | ureq::Error::Timeout(_)
                    | ureq::Error::HostNotFound
                    | ureq::Error::ConnectionFailed
                    | ureq::Error::Protocol(_)
            );
            let error = Error::new(error).context(format!("cannot reach {}", place(uri)));
            if passing { Failure::passing(error, None) } else { Failure::fatal(error) }
        })
    }
}

/// What an answer that is no success means. The hub says more in headers of its own.
fn refusal(response: &Response<Body>, uri: &Uri) -> Failure {
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
    let status = response.status();
    let said = header("x-error-message").map_or(String::new(), |message| format!(" ({})", printable(message)));
    let error = anyhow!("{} answers {status}{said}", place(uri));
    match (status, header("x-error-code")) {
        (_, Some("GatedRepo")) => Failure::fatal(error.context(
            "the model is gated: accept its terms on its page on the hub, and set HF_TOKEN to a token of that account",
        )),
        (_, Some("RevisionNotFound")) => Failure::fatal(error.context("the model has no such revision")),
        (StatusCode::NOT_FOUND, _) | (StatusCode::UNAUTHORIZED, Some("RepoNotFound")) => Failure::absent(error),
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => Failure::fatal(
            error.context("access is refused: the model is private or gated; set HF_TOKEN to a token that may read it"),
        ),
        (StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS, _) => {
            Failure::passing(error, retry_after(response))
        }
        _ if status.is_server_error() => Failure::passing(error, retry_after(response)),
        _ => Failure::fatal(error),
    }
}

fn retry_after(response: &Response<Body>) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// Whether it is a page for people, such as a proxy's to log in.
pub(super) fn is_page(response: &Response<Body>) -> bool {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.trim_start().to_ascii_lowercase().starts_with("text/html")
}

fn same_origin(a: &Uri, b: &Uri) -> bool {
    let port = |uri: &Uri| uri.port_u16().unwrap_or(if uri.scheme_str() == Some("http") { 80 } else { 443 });
    a.scheme() == b.scheme()
        && a.host().map(str::to_ascii_lowercase) == b.host().map(str::to_ascii_lowercase)
        && port(a) == port(b)
}

/// Encrypted, unless the user's own choice of an endpoint was not.
fn is_allowed(uri: &Uri, start: &Uri) -> bool {
    match uri.scheme_str() {
        Some("https") => true,
        Some("http") => start.scheme_str() == Some("http"),
        _ => false,
    }
}

fn is_loopback(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn resolve(base: &Uri, location: &str) -> Option<Uri> {
    let (scheme, authority) = (base.scheme_str()?, base.authority()?);
    let absolute = if location.contains("://") {
        location.to_owned()
    } else if let Some(rest) = location.strip_prefix("//") {
        format!("{scheme}://{rest}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else {
        let folder = base.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{scheme}://{authority}{folder}/{location}")
    };
    absolute.parse().ok().filter(|uri: &Uri| uri.host().is_some())
}

/// An address without its query, in which signatures are.
fn place(uri: &Uri) -> String {
    let host = uri.host().unwrap_or_default();
    let port = uri.port_u16().map_or(String::new(), |port| format!(":{port}"));
    format!("{}://{host}{port}{}", uri.scheme_str().unwrap_or_default(), uri.path())
}

/// What a server says, fit for a terminal.
fn printable(message: &str) -> String {
    message.chars().filter(|c| !c.is_control()).take(200).collect()
}
