//! Who may ask: this machine's user through a page that this server sent, and no other page.

use std::net::{IpAddr, SocketAddr};

use super::http::{Head, Response};

/// What a page of this server may do: load what the server sends, and nothing else.
pub(crate) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

/// Tells requests that may be answered from others.
#[derive(Debug, Clone)]
pub struct Guard {
    address: SocketAddr,
    token: Option<String>,
}

impl Guard {
    /// For a server at this address; whoever comes must know the token, if there is one.
    pub fn new(address: SocketAddr, token: Option<String>) -> Self {
        Self { address, token }
    }

    /// Refuses what comes from another page, by another name, or without the token. A page that is opened
    /// with the token gets it as a cookie.
    ///
    /// # Errors
    /// The refusal.
    pub(crate) fn admit(&self, head: &Head) -> Result<(), Response> {
        let host = head.header("host").filter(|host| self.is_ours(host));
        let host = host
            .ok_or_else(|| Response::error(403, "this server answers to its own address only"))?;
        let origin = format!("http://{host}");
        let named = |name| head.header(name);
        if head.header("origin").is_none() && head.has("origin")
            || named("origin").is_some_and(|given| !given.eq_ignore_ascii_case(&origin))
        {
            return Err(Response::error(403, "another page may not ask this server"));
        }
        // Browsers say where a request comes from. Following a link to the page itself is fine.
        let opened = named("sec-fetch-mode") == Some("navigate") && head.path == "/";
        if let Some(site) = named("sec-fetch-site")
            && !["same-origin", "none"].contains(&site)
            && !opened
        {
            return Err(Response::error(403, "another page may not ask this server"));
        }
        let Some(token) = &self.token else { return Ok(()) };
        // Cookies do not know ports, and there may be several studios.
        let own = format!("segcam-{}", self.address.port());
        let bearer = named("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let cookies = named("cookie").unwrap_or("").split(';');
        let mut cookies = cookies.filter_map(|cookie| cookie.trim().split_once('='));
        let cookie = cookies.find_map(|(name, value)| (name == own).then_some(value));
        if [bearer, cookie].into_iter().flatten().any(|given| is_same(given, token)) {
            return Ok(());
        }
        if head.method == "GET"
            && head.path == "/"
            && head.query("token").is_some_and(|given| is_same(&given, token))
        {
            let cookie = format!("{own}={token}; Path=/; HttpOnly; SameSite=Strict");
            let there = Response::new("text/plain", "").with_status(303);
            return Err(there.with_header("Location", "/").with_header("Set-Cookie", cookie));
        }
        let words = "open the address that segcam printed, with its token, or send it as \
                     `Authorization: Bearer TOKEN`";
        Err(Response::error(401, words).with_header("WWW-Authenticate", "Bearer"))
    }

    /// Names that no one else can point here: this machine's own, and addresses as numbers where others
    /// may connect.
    fn is_ours(&self, host: &str) -> bool {
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => (name, port),
            _ => (host, "80"),
        };
        if port.parse() != Ok(self.address.port()) {
            return false;
        }
        let plain = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        if plain.eq_ignore_ascii_case("localhost") {
            return true;
        }
        let number: Option<IpAddr> = plain.parse().ok();
        let others = !self.address.ip().is_loopback();
        number.is_some_and(|number| number.is_loopback() || others)
    }
}

/// Compares without saying by its time where texts part.
fn is_same(given: &str, token: &str) -> bool {
    let differences = given.bytes().zip(token.bytes()).map(|(a, b)| a ^ b);
    given.len() == token.len() && differences.fold(0, |all, bits| all | bits) == 0
}

/// A token that no one guesses.
pub fn token() -> String {
    format!("{:032x}", rand::random::<u128>())
}
