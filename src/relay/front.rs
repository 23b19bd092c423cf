//! What clients say before they have asked for something: the protocol is told by the first byte.

use super::conn::{Front, State};
use super::dial::Dialling;
use super::forward::Forward;
use super::http::{self, Bad, Wanted};
use super::login::Denied;
use super::server::{PIECE, Server, nanos, now};
use super::socks::{self, Found, LOGIN, NO_LOGIN, NO_METHOD, WELCOME, WRONG};
use super::{Ask, Told, Wishes, add};

/// How long the opening of a tunnel may take, with all attempts and pauses.
const LONGEST_OPENING: u64 = 600_000_000_000;

impl Server {
    /// Looks at what a client has said.
    pub(super) fn greet(&mut self, number: usize) {
        loop {
            let Some(conn) = self.conns.get_mut(number) else { return };
            let was_silent = conn.input.is_empty() && matches!(conn.state, State::Start);
            if conn.fill(&mut self.buffer, http::LONGEST_HEAD.max(PIECE)).is_err() {
                return self.drop_conn(number);
            }
            let Some(&first) = conn.input.first() else {
                if conn.has_ended {
                    self.drop_conn(number);
                }
                return;
            };
            if was_silent && conn.is_used {
                // From its first byte on a request has that long, however slowly it comes.
                conn.ends = now() + nanos(self.settings.greeting);
            }
            let goes_on = match (&conn.state, first) {
                (State::Login, _) => self.socks_login(number),
                (State::Target(_), _) => self.socks_target(number),
                (_, 5) => self.socks_methods(number),
                (_, 4) => self.socks4(number),
                _ => self.http(number),
            };
            let Some(conn) = self.conns.get(number) else { return };
            let is_greeting = matches!(conn.state, State::Start | State::Login | State::Target(_));
            if !is_greeting {
                return;
            }
            if !goes_on {
                if conn.has_ended {
                    self.drop_conn(number);
                }
                return;
            }
        }
    }

    fn http(&mut self, number: usize) -> bool {
        let conn = &mut self.conns[number];
        conn.front = Front::Http;
        let head = match http::read(&conn.input) {
            Ok(None) => return false,
            Ok(Some(head)) => head,
            Err(Bad(status, text)) => {
                self.refuse(number, status, text);
                return false;
            }
        };
        let given = head.login.as_ref().map(|(user, password)| (&user[..], &password[..]));
        let wishes = match self.settings.login.admit(given) {
            Ok(wishes) => wishes,
            Err(denied) => {
                self.deny(number, denied);
                return false;
            }
        };
        conn.used(head.length);
        conn.is_used = true;
        match head.wanted {
            Wanted::Tunnel => self.begin_tunnel(number, head.host, head.port, wishes),
            Wanted::Forward { request, framing, path, expects } => {
                let url = format!("http://{}{path}", shown(&head.host, head.port, 80));
                let keeps = head.keeps && !self.is_closing();
                let forward = Forward::new(request, framing, (head.host, head.port), url, wishes, keeps, head.is_1_0);
                let conn = &mut self.conns[number];
                match forward {
                    Ok(forward) => {
                        if expects {
                            conn.output.push(b"HTTP/1.1 100 Continue\r\n\r\n");
                        }
                        conn.ends = now() + nanos(self.settings.read);
                        conn.state = State::Forward(Box::new(forward));
                        self.again.push(number);
                    }
                    Err(_) => self.refuse(number, 400, "the body of the request is longer than can be read"),
                }
            }
        }
        false
    }

    fn deny(&mut self, number: usize, denied: Denied) {
        add(&self.counts.denied, 1);
        self.refuse(number, 407, &denied.to_string());
    }

    fn socks_methods(&mut self, number: usize) -> bool {
        let conn = &mut self.conns[number];
        conn.front = Front::Socks5;
        let Found::This(methods, used) = socks::methods(&conn.input) else { return false };
        conn.used(used);
        conn.is_used = true;
        let is_open = self.settings.login.password.is_none();
        if methods.contains(&LOGIN) {
            conn.output.push(&[5, LOGIN]);
            conn.state = State::Login;
        } else if is_open && methods.contains(&NO_LOGIN) {
            conn.output.push(&[5, NO_LOGIN]);
            conn.state = State::Target(Wishes::default());
        } else {
            add(&self.counts.denied, 1);
            conn.output.push(&NO_METHOD);
            self.leave(number);
            return false;
        }
        self.flush(number)
    }

    fn socks_login(&mut self, number: usize) -> bool {
        let conn = &mut self.conns[number];
        let (login, used) = match socks::login(&conn.input) {
            Found::More => return false,
            Found::Bad(answer) => return self.bad(number, answer),
            Found::This(login, used) => (login, used),
        };
        conn.used(used);
        match self.settings.login.admit(Some((&login.0, &login.1))) {
            Ok(wishes) => {
                conn.output.push(&WELCOME);
                conn.state = State::Target(wishes);
                self.flush(number)
            }
            Err(_) => {
                add(&self.counts.denied, 1);
                self.bad(number, &WRONG)
            }
        }
    }

    fn socks_target(&mut self, number: usize) -> bool {
        let conn = &mut self.conns[number];
        let State::Target(wishes) = &conn.state else { return false };
        match socks::request5(&conn.input) {
            Found::More => false,
            Found::Bad(answer) => self.bad(number, answer),
            Found::This(target, used) => {
                let wishes = wishes.clone();
                conn.used(used);
                self.begin_tunnel(number, target.host, target.port, wishes);
                false
            }
        }
    }

    fn socks4(&mut self, number: usize) -> bool {
        let conn = &mut self.conns[number];
        conn.front = Front::Socks4;
        let (target, user, used) = match socks::request4(&conn.input) {
            Found::More => return false,
            Found::Bad(answer) => return self.bad(number, answer),
            Found::This((target, user), used) => (target, user, used),
        };
        conn.used(used);
        conn.is_used = true;
        // The protocol has no password.
        let given = if user.is_empty() { None } else { Some((&user[..], &b""[..])) };
        match self.settings.login.admit(given) {
            Ok(wishes) => self.begin_tunnel(number, target.host, target.port, wishes),
            Err(denied) => self.deny(number, denied),
        }
        false
    }

    /// Answers what makes no sense, or must not be.
    fn bad(&mut self, number: usize, answer: &[u8]) -> bool {
        self.conns[number].output.push(answer);
        self.leave(number);
        false
    }

    fn flush(&mut self, number: usize) -> bool {
        let conn = &mut self.conns[number];
        if conn.output.flush(&mut conn.sock).is_err() {
            self.drop_conn(number);
            return false;
        }
        true
    }

    fn begin_tunnel(&mut self, number: usize, host: String, port: u16, wishes: Wishes) {
        if crate::net::destination::Destination::new(&host, port).is_err() || port == 0 {
            return self.refuse(number, 400, "the target has no host and port that can be asked for");
        }
        let scheme = if port == 80 { "http" } else { "https" };
        let url = format!("{scheme}://{}/", shown(&host, port, if port == 80 { 80 } else { 443 }));
        let conn = &mut self.conns[number];
        let ticket = conn.ticket(number);
        conn.ends = now() + LONGEST_OPENING;
        conn.state = State::Dialling(Box::new(Dialling::new(host, port)));
        let ask = Ask { method: "CONNECT".into(), url, wishes, is_replayable: true };
        self.tell(ticket, Told::Begin(ask), (0, 0));
    }
}

/// Host and port as in a URL.
fn shown(host: &str, port: u16, usual: u16) -> String {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    if port == usual { host } else { format!("{host}:{port}") }
}
